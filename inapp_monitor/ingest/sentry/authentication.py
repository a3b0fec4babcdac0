"""Which key an SDK shows, in any of the ways that SDKs have. Pure.

First of: the header `X-Sentry-Auth` (or `Authorization`) with `Sentry sentry_key=...` or
`DSN https://KEY@...`, the query `?sentry_key=...`, and, as the envelope's first line is read, the
DSN in it (a `tunnel`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

#: Keys as they are made here and as other installations made them.
KEY = re.compile(r"[0-9a-zA-Z_-]{16,64}")
_PAIR = re.compile(r"(?:^|[\s,;:?&])sentry_key\s*=\s*[\"']?([^,;&\s\"']{0,200})", re.IGNORECASE)


def key_of_headers(x_sentry_auth: str, authorization: str, query: Mapping[str, str]) -> str:
    """The key in a request's headers or query, "" without any."""
    for header in (x_sentry_auth, authorization):
        given = header[:2_000].strip()
        kind, _, rest = given.partition(" ")
        if kind.lower() == "dsn":
            return key_of_dsn(rest.strip())[0]
        match = _PAIR.search(given)
        if match:
            return match[1]
    return query.get("sentry_key", "")


def key_of_dsn(dsn: object) -> tuple[str, str]:
    """Key and project in a DSN such as `https://KEY@host/path/1`; "" for what is missing."""
    if not isinstance(dsn, str) or len(dsn) > 1_000:
        return "", ""
    try:
        parts = urlsplit(dsn)
        return parts.username or "", parts.path.rstrip("/").rpartition("/")[2]
    except ValueError:
        return "", ""
