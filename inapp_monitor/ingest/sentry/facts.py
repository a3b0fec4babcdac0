"""What a process knows of SDKs: apart from what receives them, which is loaded when one sends."""

from __future__ import annotations

from dataclasses import dataclass

#: In a data directory: the keys of SDKs, see `keys`.
KEYS_FILE = "sentry_keys.json"


@dataclass(frozen=True, slots=True)
class SentryFacts:
    """What SDKs have sent to this process.

    Attributes:
        sdk_events: Events of SDKs recorded.
        sdk_refused: Requests of SDKs that were refused.
    """

    sdk_events: int
    sdk_refused: int
