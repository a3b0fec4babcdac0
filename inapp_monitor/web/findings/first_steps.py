"""What a newcomer does in the first minutes, ticked off as it happens; for the overview."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_ACCESS = {
    "authorizer": "those whom the app's own authorizer lets in",
    "bearer": "those who have the token, as you do",
    "cookie": "those who have the token, as you do",
}


def steps(
    paths: Iterable[str], own: Iterable[str], errors: int, access: str
) -> list[dict[str, Any]]:
    """The list: `done`, `title`, `hint`, `path`; the hint says how, or what was found.

    Args:
        paths: All series.
        own: Those that the application named.
        errors: Issues so far.
        access: By what the visitor was let in, see `MonitorRequest.access`.
    """
    number = next(iter(own), "")
    answered = "requests.time" in set(paths)
    return [
        _step(
            answered, "The first request", "visit a page of the app",
            "recorded, with its route", "/routes",
        ),
        _step(
            bool(errors), "The first error", "raise an exception in a view and visit it",
            "with its stack, in Errors", "/errors",
        ),
        _step(
            bool(number), "The first number of your own", 'call monitor.incr("users.registered")',
            f"recorded: {number}", "/explore",
        ),
        _step(
            access in _ACCESS, "Who may see this page",
            "everybody on this machine: dev_access is on; set token before others can reach it",
            _ACCESS.get(access, ""), "/status",
        ),
    ]  # fmt: skip


def _step(done: bool, title: str, how: str, found: str, path: str) -> dict[str, Any]:
    return {"done": done, "title": title, "hint": found if done else how, "path": path}
