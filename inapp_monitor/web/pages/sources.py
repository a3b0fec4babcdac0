"""`/sources`: what comes in from outside, by door, what was refused and why; lines to paste."""

from __future__ import annotations

import json
from typing import Any

from inapp_monitor.alerts.service_checks import PREFIX
from inapp_monitor.alerts.status import Status
from inapp_monitor.database.service_checks import ServiceChecks
from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.ingest.addresses import Address, parse_address
from inapp_monitor.ingest.doors import DoorFacts
from inapp_monitor.ingest.protocols.registry import usages
from inapp_monitor.web.access import login_token
from inapp_monitor.web.findings import doors
from inapp_monitor.web.frame import templating
from inapp_monitor.web.frame.request import INGEST_PATH, MonitorRequest
from inapp_monitor.web.frame.visit import Visit

#: The setting that ends a refusal.
_REMEDIES = {"too_many_series": "max_ingested_series", "no_room_on_disk": "disk_budget"}
#: What a line to paste sends.
_NAME = "test.hello"
_IN_APP = f"from inapp_monitor import metrics\n\nmetrics.incr({_NAME!r})"
_ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared, not bound


def gather(visit: Visit) -> dict[str, Any]:
    """Each door, its counts and examples of what it refused; how to send a number here."""
    backend, request, _ = visit
    found = doors.rows(visit.facts)
    return {
        "doors": found,
        "listens": visit.facts.of(DoorFacts).listens,
        "rejected": _rejected(found),
        "checks": _checks(visit),
        "snippets": _snippets(visit, found) if backend.live else [],
        "limits": _limits(visit),
        "token_is_left_out": backend.live and _token(visit) is None and _asks_for_token(request),
    }


def _limits(visit: Visit) -> dict[str, Any]:
    """How many series others may name in this worker, how many they have, and how many still fit:
    that is less than what is left of the cap where the disk budget ends first."""
    settings, listening = visit.backend.loaded.settings, visit.backend.listening
    if listening is None:
        return {"series": settings.max_ingested_series, "used": 0, "further": None}
    return {
        "series": settings.max_ingested_series,
        "used": listening.intake.series_count,
        "further": listening.intake.further_series,
    }


def _checks(visit: Visit) -> list[dict[str, Any]]:
    """The last state of each service check, the worst first."""
    backend = visit.backend
    checks = ServiceChecks(backend.database).all(backend.now())
    checks.sort(key=lambda check: (-Status(check.status).severity, check.path))
    made = []
    for check in checks:
        name, *tags = check.path.removeprefix(PREFIX).split(";")
        status = Status(check.status).name
        made.append({**check._asdict(), "name": name, "tags": tags, "status": status})
    return made


def _rejected(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each door and reason, the latest first."""
    rejected = [
        {"address": row["address"], "reason": reason, "setting": _REMEDIES.get(reason), **entry}
        for row in found
        for reason, entry in row["rejects"].items()
    ]
    return sorted(rejected, key=lambda entry: -entry["time"])


def _asks_for_token(request: MonitorRequest) -> bool:
    return request.access.by != "dev"


def _token(visit: Visit) -> str | None:
    """A token that may be shown to who asks: the ingest-only one, else one that let him in."""
    settings = visit.backend.loaded.settings
    if settings.ingest_token and not settings.read_only:
        return settings.ingest_token
    if settings.read_only or visit.request.access.by not in ("cookie", "bearer"):
        return None
    return login_token.obtain(settings, visit.backend.guard, may_write=False).value


def _snippets(visit: Visit, found: list[dict[str, Any]]) -> list[dict[str, str]]:
    request = visit.request
    url = f"{request.host_url.rstrip('/')}{request.root}{INGEST_PATH}"
    token = _token(visit) or ("TOKEN" if _asks_for_token(request) else "")
    header = f" -H 'Authorization: Bearer {token}'" if token else ""
    data = f"--data-binary '{_NAME} 1'"
    made = [
        _snippet(
            "Python, in this app", f"from inapp_monitor import metrics\n\nmetrics.incr({_NAME!r})"
        ),
        _snippet("curl", f"curl{header} {data} {url}"),
        _snippet("Python, anywhere", _python(url, token)),
        _snippet(
            "a cron job",
            "inapp-monitor run --data-dir "
            f"{visit.backend.loaded.settings.data_dir} --name nightly -- ./nightly.sh",
        ),
    ]
    for row in found:
        if row["state"] == "open" and not row["address"].startswith("/"):
            try:
                made += _of_door(parse_address(row["address"], usages()))
            except ConfigError:  # of an earlier release, or damaged
                pass
    return made


def _snippet(title: str, text: str) -> dict[str, str]:
    return {"title": title, "text": text}


def _python(url: str, token: str) -> str:
    headers = json.dumps({"Authorization": f"Bearer {token}"} if token else {})
    return (
        "from urllib.request import Request, urlopen\n\n"
        f'urlopen(Request("{url}", b"{_NAME} 1", {headers}))'
    )


def _of_door(address: Address) -> list[dict[str, str]]:
    """How a shell sends a line to a listener."""
    line = f"{_NAME}:1|c" if address.protocol == "statsd" else f"{_NAME} 1"
    host, port = _ANY_HOST.get(address.host, address.host), address.port
    title, path = f"to {address.text.partition('?')[0]}", address.path
    if address.protocol not in ("statsd", "carbon", "lines"):
        return []
    if address.transport in ("tcp", "udp"):
        flag = "-u " if address.transport == "udp" else ""
        return [
            _snippet(f"bash, {title}", f"echo '{line}' > /dev/{address.transport}/{host}/{port}"),
            _snippet(f"sh with nc, {title}", f"echo '{line}' | nc {flag}-w 1 {host} {port}"),
        ]
    if address.transport in ("unix", "unixstream"):
        flag = "-uU" if address.transport == "unix" else "-U"
        return [_snippet(f"sh with nc, {title}", f"echo '{line}' | nc {flag} -w 1 {path}")]
    sign = ">" if address.transport == "fifo" else ">>"
    return [_snippet(f"sh, {title}", f"echo '{line}' {sign} {path}")]


ROUTES = templating.page("/sources", "/sources.json", gather, "sources.html")
