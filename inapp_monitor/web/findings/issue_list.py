"""Issues as the pages show them: newest first, with their age."""

from __future__ import annotations

from typing import Any

from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame.records import as_dict


def newest(backend: Backend, limit: int) -> list[dict[str, Any]]:
    """Issues by last occurrence, as dictionaries; empty when they cannot be read."""
    try:
        issues = [as_dict(issue) for issue in backend.triage.list_issues(limit=limit)]
    except Exception as error:  # noqa: BLE001  # other parts of the page are still worth showing
        backend.guard.failed("issue list", error)
        return []
    for issue in issues:
        issue["message"] = message(issue)
    issues.sort(key=lambda issue: -(issue.get("last_seen") or 0))
    return issues


def message(issue: dict[str, Any]) -> str:
    """An issue's title without the type in front of it, which pages show by itself."""
    title, prefix = str(issue.get("title") or ""), f"{issue.get('type')}: "
    return title.removeprefix(prefix)
