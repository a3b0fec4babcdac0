"""The monitor about itself: disk, drops, faults, cost. For verdicts, footer and status page."""

from __future__ import annotations

from typing import Any

from inapp_monitor.ground.facts import CostFacts, Facts
from inapp_monitor.issues.release import ReleaseFacts
from inapp_monitor.recorder.recorder import RecorderFacts
from inapp_monitor.web import human
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame.records import as_dict

#: Requests below which no cost of one is shown: those of a start meet cold caches.
_ENOUGH = 1_000


def store_status(backend: Backend) -> dict[str, Any]:
    """The store's status as a dictionary; empty when it fails."""
    try:
        return as_dict(backend.store.status())
    except Exception as error:  # noqa: BLE001  # the page about faults must survive one
        backend.guard.failed("store status", error)
        return {}


def summary(backend: Backend, facts: Facts) -> dict[str, Any]:
    """The footer: bytes on disk and allowed, points dropped, faults, cost a request."""
    status, cost = store_status(backend), facts.of(CostFacts)
    drops = {**(status.get("drops") or {}), **cost.dropped}
    requests = facts.of(RecorderFacts).requests_seen
    averages = requests is None or requests >= _ENOUGH
    return {
        "used_bytes": status.get("used"),
        "size_bytes": status.get("size"),
        "budget_bytes": backend.loaded.settings.disk_budget,
        "dropped": sum(drops.values()),
        "drops": drops,
        "store_fault": status.get("fault") or "",
        "cost_us": cost.cost_us if averages else None,
        "cost_of_requests": requests if averages else None,
        "cpu_share": cost.cpu_share if averages else None,
        "memory_bytes": cost.memory_bytes,
        "release": facts.of(ReleaseFacts).release,
    }


def cost_words(own: dict[str, Any]) -> str:
    """The cost of a request with its base; "" while there were too few."""
    if not own["cost_us"]:
        return ""
    text = f"{own['cost_us']:.1f} µs a request"
    if own["cost_of_requests"]:
        text += f" (median, of {human.count(own['cost_of_requests'])})"
    return text


def disk(own: dict[str, Any]) -> dict[str, Any]:
    """Verdict: whether the disk takes what is written, and how much of the budget is taken."""
    if own["store_fault"]:
        return _verdict("crit", "Disk: points wait in memory", str(own["store_fault"]))
    if not own["size_bytes"]:
        return _verdict("ok", "Disk", "nothing written yet")
    budget = human.value(own["budget_bytes"], "bytes")
    text = f"{human.value(own['used_bytes'], 'bytes')} used, at most {budget}"
    if own["size_bytes"] > 0.95 * own["budget_bytes"]:
        return _verdict("warn", "Disk budget is nearly used up", f"{text}: new series are refused")
    return _verdict("ok", "Disk", text)


def monitor(backend: Backend, facts: Facts, own: dict[str, Any]) -> dict[str, Any]:
    """Verdict: whether the monitor itself works."""
    faults = backend.guard.faults
    cost = cost_words(own)
    cost += " · " if cost else ""
    if own["cpu_share"] is not None:
        cost += f"its thread takes {human.value(100 * own['cpu_share'], 'percent')} of a core · "
    if own["memory_bytes"] is not None:
        cost += f"{human.value(own['memory_bytes'], 'bytes')} of memory · "
    if faults:
        name, fault = next(iter(faults.items()))
        off = " and is switched off" if fault.disabled else ""
        return _verdict("warn", f"This monitor: {name} failed{off}", human.shorten(fault.last, 120))
    misuses = facts.of(RecorderFacts).misuses
    if misuses:
        text = f"{misuses[0]['place']}: {misuses[0]['problem']}"
        return _verdict("warn", "This monitor: a call is refused", human.shorten(text, 120))
    if own["dropped"]:
        text = f"{cost}{human.count(own['dropped'])} points dropped"
        return _verdict("warn", "This monitor", text)
    return _verdict("ok", "This monitor", f"{cost}nothing dropped, no fault")


def _verdict(state: str, title: str, detail: str) -> dict[str, Any]:
    return {"state": state, "title": title, "detail": detail, "path": "/status", "link": "status"}
