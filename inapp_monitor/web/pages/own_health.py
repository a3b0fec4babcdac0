"""The monitor about itself: disk, drops, faults, cost. For verdicts, footer and status page."""

from __future__ import annotations

from typing import Any

from inapp_monitor.web import human
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.pages.records import as_dict


def store_status(backend: Backend) -> dict[str, Any]:
    """The store's status as a dictionary; empty when it fails."""
    try:
        return as_dict(backend.store.status())
    except Exception as error:  # noqa: BLE001  # the page about faults must survive one
        backend.guard.failed("store status", error)
        return {}


def summary(backend: Backend) -> dict[str, Any]:
    """The footer: bytes on disk and allowed, points dropped, faults, cost a request."""
    status = store_status(backend)
    drops = status.get("drops") or {}
    return {
        "disk_bytes": status.get("size_bytes"),
        "budget_bytes": backend.loaded.settings.disk_budget,
        "dropped": sum(drops.values()) if isinstance(drops, dict) else drops,
        "faults": len(backend.guard.faults),
        "cost_us": backend.facts().get("cost_us"),
        "release": backend.facts().get("release") or "",
    }


def disk(backend: Backend) -> dict[str, Any]:
    """Verdict: how much of the budget is taken."""
    own = summary(backend)
    size, budget = own["disk_bytes"], own["budget_bytes"]
    if size is None:
        return _verdict("unknown", "Disk", "nothing written yet")
    text = f"{human.value(size, 'bytes')} of {human.value(budget, 'bytes')}"
    if size > 0.95 * budget:
        return _verdict("warn", "Disk budget is nearly used up", f"{text}: new series are refused")
    return _verdict("ok", "Disk", f"{text}, the size is fixed")


def monitor(backend: Backend) -> dict[str, Any]:
    """Verdict: whether the monitor itself works."""
    own = summary(backend)
    faults = backend.guard.faults
    cost = f"{own['cost_us']:.1f} µs a request · " if own["cost_us"] else ""
    if faults:
        name, fault = next(iter(faults.items()))
        off = " and is switched off" if fault.disabled else ""
        return _verdict("warn", f"This monitor: {name} failed{off}", human.shorten(fault.last, 120))
    if own["dropped"]:
        text = f"{cost}{human.count(own['dropped'])} points dropped"
        return _verdict("warn", "This monitor", text)
    return _verdict("ok", "This monitor", f"{cost}nothing dropped, no fault")


def _verdict(state: str, title: str, detail: str) -> dict[str, Any]:
    return {"state": state, "title": title, "detail": detail, "path": "/status", "link": "status"}
