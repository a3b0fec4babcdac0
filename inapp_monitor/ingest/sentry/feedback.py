"""What users write about an error: `feedback` items, and the older `user_report`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inapp_monitor.ingest.sentry import values
from inapp_monitor.ingest.sentry.envelope import event_id_of
from inapp_monitor.ingest.sentry.event import trace_of

_MAX_MESSAGE = 1_800


def feedback_of(payload: Mapping[str, object], kind: str) -> dict[str, Any] | None:
    """What was written, by whom and about what; None when nothing was written.

    Returns:
        `message`, `name`, `email`, `url`, and `event_id` and `trace_id` of what it is about, ""
        where that is not said.
    """
    if kind == "user_report":
        facts: Mapping[str, object] = {**payload, "message": payload.get("comments"),
                                       "contact_email": payload.get("email")}  # fmt: skip
        about = event_id_of(payload.get("event_id"))
    else:
        facts = values.mapping(values.mapping(payload.get("contexts")).get("feedback"))
        about = event_id_of(facts.get("associated_event_id"))
    message = values.text(facts.get("message"), _MAX_MESSAGE).strip()
    if not message:
        return None
    return {
        "message": message,
        "name": values.text(facts.get("name"), 100),
        "email": values.text(facts.get("contact_email"), 100),
        "url": values.text(facts.get("url"), 200),
        "event_id": about,
        "trace_id": trace_of(payload),
    }


def note_of(feedback: Mapping[str, Any]) -> str:
    """The feedback as one text."""
    who = " ".join(filter(None, (feedback["name"], feedback["email"])))
    return f"{feedback['message']} ({who})" if who else str(feedback["message"])
