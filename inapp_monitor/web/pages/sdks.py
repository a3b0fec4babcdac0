"""`/sdks`: keys for SDKs of Sentry, what to put into an application, and what has come in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import BadRequest, NotFound
from werkzeug.wrappers import Response

from inapp_monitor.ground.exceptions import MonitorError
from inapp_monitor.ingest.sentry import sessions, snippets, tables
from inapp_monitor.ingest.sentry.dsn import dsn_of
from inapp_monitor.ingest.sentry.keys import DEFAULT_PER_MINUTE, Key
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.frame.visit import Visit
from inapp_monitor.web.pages import check_ins, issue_page

if TYPE_CHECKING:
    from inapp_monitor.ingest.sentry.door import Door

_DAYS = 30
_PATH = "/sdks"


def gather(visit: Visit) -> dict[str, Any]:
    """Keys with their DSN, and by project what SDKs sent in the last 30 days."""
    backend, request, _ = visit
    since = backend.now() - _DAYS * tables.DAY_S
    counted = _by_project(backend, since)
    keys, problem = _keys(backend)
    rows = [_row(key, request, counted) for key in keys]
    good = [row for row in rows if not row["revoked"]]
    chosen = request.args.get("key", "")
    shown = next((row for row in good if row["key"] == chosen), good[-1] if good else None)
    return {
        "keys": rows,
        "problem": problem,
        "chosen": shown,
        "snippets": snippets.of(shown["dsn"], shown["project"]) if shown else [],
        "counts": counted,
        "releases": _releases(backend, since),
        "days": _DAYS,
        "per_minute": DEFAULT_PER_MINUTE,
        "setting": list(backend.loaded.settings.sentry_origins),
        "can_act": backend.may_act and backend.sentry is not None,
    }


def _keys(backend: Backend) -> tuple[list[Key], str]:
    if backend.sentry is None:
        return [], ""
    try:
        return backend.sentry.keys.all(), ""
    except (MonitorError, OSError) as error:
        return [], str(error)


def _row(key: Key, request: MonitorRequest, counted: Mapping[str, Any]) -> dict[str, Any]:
    events = counted.get(key.project, {}).get("event", {})
    return {
        "key": key.key,
        "project": key.project,
        "number": key.number,
        "created": key.created,
        "revoked": key.revoked,
        "origins": list(key.origins),
        "per_minute": key.per_minute,
        "dsn": dsn_of(request.url_root, key),
        "events": sum(events.values()),
    }


def _by_project(backend: Backend, since: float) -> dict[str, dict[str, dict[str, int]]]:
    """Counts by project, kind (`event`, `item`, `lost`, `refused`) and name."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    if backend.database is not None:
        for row in tables.counts(backend.database.read, since):
            kinds = found.setdefault(row["project"], {})
            kinds.setdefault(row["kind"], {})[row["name"]] = row["count"]
    return found


def _releases(backend: Backend, since: float) -> list[dict[str, Any]]:
    """Sessions by release with the share of those without a crash."""
    if backend.database is None:
        return []
    rows = tables.sessions(backend.database.read, since)
    for row in rows:
        row["crash_free"] = sessions.crash_free(row["total"], row["unhandled"], row["crashed"])
    return rows


def make_key(backend: Backend, request: MonitorRequest) -> Response:
    """A new key of a project, then the page with its DSN."""
    door = _door(backend)
    form = request.form
    try:
        key = door.keys.make(
            form.get("project", "").strip()[:100],
            backend.clock.wall(),
            origins=form.get("origins", "").replace(",", " ").split(),
            per_minute=_per_minute(form),
        )
    except MonitorError as error:
        raise BadRequest(str(error)) from None
    return issue_page.back_to(request, _PATH, [("key", key.key)])


def change_key(backend: Backend, request: MonitorRequest, key: str, action: str) -> Response:
    """Revoke, delete, or change the limits of a key."""
    door = _door(backend)
    try:
        if action == "revoke":
            door.keys.revoke(key, backend.clock.wall())
        elif action == "delete":
            door.keys.delete(key)
        elif action == "limits":
            origins = request.form.get("origins", "").replace(",", " ").split()
            door.keys.set_limits(key, origins, _per_minute(request.form))
        else:
            raise NotFound("there is no such action")
    except MonitorError as error:
        raise BadRequest(str(error)) from None
    return issue_page.back_to(request, _PATH)


def _door(backend: Backend) -> Door:
    if backend.sentry is None or not backend.may_act:
        raise NotFound("keys cannot be changed here")
    return backend.sentry


def _per_minute(form: Mapping[str, str]) -> int:
    try:
        return int(form.get("per_minute", "") or DEFAULT_PER_MINUTE)
    except ValueError:
        raise BadRequest("per_minute must be a whole number") from None


ROUTES = [
    *templating.page(_PATH, f"{_PATH}.json", gather, "sdks.html"),
    Route(f"{_PATH}/keys", make_key, methods=("POST",), changes_state=True),
    Route(
        f"{_PATH}/keys/<name:key>/<name:action>",
        change_key,
        methods=("POST",),
        changes_state=True,
    ),
    *check_ins.ROUTES,
]
