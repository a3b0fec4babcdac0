"""The DSN of a key: what an SDK is given."""

from __future__ import annotations

from urllib.parse import urlsplit

from inapp_monitor.ground.exceptions import MonitorError
from inapp_monitor.ingest.sentry.keys import Key


def dsn_of(url: str, key: Key) -> str:
    """The DSN for an installation whose dashboard is at an address such as
    `https://shop.example/_metrics`.

    Raises:
        MonitorError: no address.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise MonitorError(f"url {url!r} must be like https://shop.example/_metrics")
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{key.key}@{parts.netloc}{path}/sentry/{key.number}"
