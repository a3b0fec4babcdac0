"""Verdict about numbers from outside: whether every door is open and takes what it is sent."""

from __future__ import annotations

from typing import Any

from inapp_monitor.ground.facts import Facts
from inapp_monitor.ingest.doors import DoorFacts
from inapp_monitor.web import human
from inapp_monitor.web.frame.records import as_plain

#: Seconds for which a refusal is worth a line.
RECENT_S = 3_600.0
_OPENING = "not open yet"


def rows(facts: Facts) -> list[dict[str, Any]]:
    """All doors that are set or were used, see `shared_doors.SharedDoors.rows`."""
    return [as_plain(row) for row in facts.of(DoorFacts).doors]


def verdict(facts: Facts, now: float) -> dict[str, Any] | None:
    """The worst of all doors; None when there is none."""
    known = rows(facts)
    if not known:
        return None
    for row in known:
        if row["state"] not in ("open", "not set", _OPENING):
            return _line("warn", f"Listener {row['address']} is not open", row["state"])
    for row in known:
        if now - row["dropped_at"] < RECENT_S and row["kernel_drops"]:
            count = human.count(row["kernel_drops"])
            text = f"{count} datagrams so far that nobody received in time"
            return _line("warn", f"{row['address']}: the system drops datagrams", text)
    latest = max(
        (
            (entry["time"], row["address"], reason, entry["text"])
            for row in known
            for reason, entry in row["rejects"].items()
        ),
        default=(0.0, "", "", ""),
    )
    points = human.count(sum(row["points"] for row in known))
    if now - latest[0] < RECENT_S:
        rejected = human.count(sum(row["rejected"] for row in known))
        text = f"{latest[1]}, {latest[2].replace('_', ' ')}: {human.shorten(latest[3], 80)}"
        return _line("warn", f"Lines from outside are refused, {rejected} so far", text)
    return _line("ok", "Numbers from outside", f"{points} points accepted, none refused lately")


def _line(state: str, title: str, detail: str) -> dict[str, Any]:
    return {"state": state, "title": title, "detail": detail, "path": "/sources", "link": "sources"}
