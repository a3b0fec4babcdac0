"""404s as the pages show them: who links there, and whether that is the app itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame.records import as_dict

#: Fragments of paths that only scanners ask for.
_SCANNED = (
    ".php",
    ".env",
    ".git",
    "wp-",
    "cgi-bin",
    ".asp",
    "phpmyadmin",
    "/.aws",
    "/actuator",
    ".sql",
    ".xml",
)


def most_frequent(backend: Backend, host: str, limit: int) -> list[dict[str, Any]]:
    """Rows by count: path, count, first_seen, last_seen, referers, own_referer, guess."""
    try:
        rows = [as_dict(row) for row in backend.not_found.top(limit=limit)]
    except Exception as error:  # noqa: BLE001  # other parts of the page are still worth showing
        backend.guard.failed("404 list", error)
        return []
    missing = {row["path"] for row in rows}
    for row in rows:
        referers = [_referer(entry) for entry in row.get("referers") or ()]
        row["referers"] = [entry for entry in referers if entry]
        row["own_referer"] = next(
            (r for r in row["referers"] if _is_own_page(r, host.lower(), missing)), ""
        )
        row["guess"] = _guess(row)
    return rows


def busiest(rows: Sequence[dict[str, Any]], since: float) -> list[dict[str, Any]]:
    """The rows that were asked for since then, those that come most often first.

    Only the count of all time is known: a path that is new and frequent comes before an old one.
    """
    seen = [row for row in rows if row["last_seen"] >= since]
    seen.sort(key=lambda row: -row["count"] / max(row["last_seen"] - row["first_seen"], 60.0))
    return seen


def _guess(row: dict[str, Any]) -> str:
    if any(part in row["path"].lower() for part in _SCANNED):
        return "scanner"
    if row["own_referer"]:
        return "broken link of your own"
    return "linked from elsewhere" if row["referers"] else "typed or crawled"


def _referer(entry: Any) -> str:
    """A referer's text, whether it comes alone or with its count."""
    return str(entry[0]) if isinstance(entry, (list, tuple)) and entry else str(entry or "")


def _is_own_page(referer: str, host: str, missing: set[str]) -> bool:
    """A page of this host that is not itself one that was asked for in vain."""
    try:
        parts = urlsplit(referer)
    except ValueError:
        return False
    return parts.netloc.lower() == host and parts.path not in missing
