"""Troubles in words: always so many of so many, the limit, since when, and what is usual. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from inapp_monitor.alerts.shown_numbers import shown
from inapp_monitor.alerts.trouble import WHOLE_APP, Trouble
from inapp_monitor.alerts.usual import TARGET

#: Characters of a route's name that are shown.
_NAME = 60


class Words(NamedTuple):
    """A trouble for people: `Latency: /list is slow`, and its evidence."""

    title: str
    detail: str


def words(trouble: Trouble, now: float, name_of: Callable[[str], str]) -> Words:
    """A trouble in words.

    Args:
        trouble: Which.
        now: Until when it is described; its end, when it is over.
        name_of: The name of a route for people, by its slug and method.
    """
    name = _shortened(name_of(trouble.route)) if trouble.route != WHOLE_APP else ""
    match trouble.kind:
        case "slow":
            return _slow(trouble, now, name, name_of)
        case "fail":
            return _failing(trouble, now, name, name_of)
        case "hang":
            return _hanging(trouble, now, _shortened(trouble.worst) or name)
        case "stop":
            usual = f"at this hour there are at least {trouble.usual_ms:.0f} an hour"
            text = f"{trouble.count} requests for {_lasts(trouble, now)}; {usual}"
            return Words("Traffic: requests do not come any more", text)
        case "broken links":
            return Words("404s: links of your own pages are broken", _missing(trouble, now))
        case _:
            return Words("404s: many addresses are not found", _missing(trouble, now))


def over(detail: str) -> str:
    """What is told of a trouble when it is over: nothing of it is so any more."""
    for now, then in ((" has been ", " had been "), (" have been ", " had been ")):
        detail = detail.replace(now, then)
    return f"over: {detail}"


def _slow(trouble: Trouble, now: float, name: str, name_of: Callable[[str], str]) -> Words:
    counted = f"{_of(trouble)} requests"
    if name:
        above = f"{counted} over {_ms(trouble.limit_ms)} for {_lasts(trouble, now)}"
        if trouble.as_ever:
            return Words(f"Latency: {name} is slow", f"{above}; it was never faster")
        usual = f"; usual p95 {_ms(trouble.usual_ms)}" if trouble.usual_ms else ""
        return Words(f"Latency: {name} is slow", f"{above}{usual}")
    what = "slower than is usual for their routes"
    if trouble.limit == TARGET:
        what = f"over {_ms(trouble.limit_ms)}"
    most = f", most on {_shortened(name_of(trouble.worst))}" if trouble.worst else ""
    text = f"{counted} {what} for {_lasts(trouble, now)}{most}"
    return Words("Latency: requests are slow", text)


def _failing(trouble: Trouble, now: float, name: str, name_of: Callable[[str], str]) -> Words:
    share = _percent(trouble.share)
    text = f"{share}: {_of(trouble)} requests failed for {_lasts(trouble, now)}"
    if name:
        return Words(f"Errors: {name} fails", f"{text}; usual {_percent(trouble.p0)}")
    most = f", most on {_shortened(name_of(trouble.worst))}" if trouble.worst else ""
    return Words("Errors: requests fail", f"{text}{most}")


def _hanging(trouble: Trouble, now: float, name: str) -> Words:
    runs = f"for {now - trouble.onset:.0f} s" if now - trouble.onset < 600 else "for very long"
    many = "a request has" if trouble.at_once == 1 else f"{trouble.at_once} requests have"
    usual = f"; usual p99 {_ms(trouble.usual_ms)}" if trouble.usual_ms else ""
    limit = f", longer than {trouble.limit_ms / 1_000:.0f} s"
    return Words(f"Hanging: {name}", f"{many} been running {runs}{limit}{usual}")


def _missing(trouble: Trouble, now: float) -> str:
    counted = f"{trouble.bad:,} not found in {trouble.count:,} requests"
    return f"{counted} for {_lasts(trouble, now)}; usual {_percent(trouble.p0)}"


def _of(trouble: Trouble) -> str:
    return f"{trouble.bad:,} of {trouble.count:,}"


def _lasts(trouble: Trouble, now: float) -> str:
    until = trouble.calm_since if trouble.calm > 0 else now
    seconds = max(until - trouble.onset, 1)
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}{_calm(trouble, now)}"
    return f"{seconds:.0f} s{_calm(trouble, now)}"


def _calm(trouble: Trouble, now: float) -> str:
    """`, fine for 12 s`: it may be over, which more requests will tell."""
    fine = now - trouble.calm_since
    return f", fine for {fine:.0f} s" if trouble.calm > 0 and fine >= 1 else ""


def _ms(ms: float) -> str:
    if ms >= 1_000:
        return f"{shown(ms / 1_000, 3)} s"
    return f"{shown(ms, 3)} ms"


def _percent(share: float) -> str:
    percent = 100 * share
    if 99.9 < percent < 100:  # not all of them
        percent = 99.9
    return f"{shown(percent, 3)} %"


def _shortened(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
