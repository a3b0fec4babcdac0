"""Requests that ask to be traced: by a header with the dashboard's token, or by a cookie that the
dashboard has set. The cookie's value opens nothing else. Pure.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

from inapp_monitor.traces import asking_cookie

COOKIE: Final = asking_cookie.NAME
#: Seconds for which the cookie asks.
LASTS_S: Final = 900
_COOKIE = re.compile(rf"(?:^|;\s*){COOKIE}=([0-9a-f]{{32}})(?:;|$)", re.ASCII)


def cookie_value(secret: str) -> str:
    """What the cookie must say, for the dashboard's secret."""
    return hmac.new(secret.encode(), b"trace my requests", hashlib.sha256).hexdigest()[:32]


def may_ask(header: str | None, cookies: str | None) -> bool:
    """Whether a request looks as if it asked: only then the secret is needed."""
    return bool(header) or (cookies is not None and COOKIE in cookies)


def asks(header: str | None, cookies: str | None, secret: str) -> bool:
    """Whether a request asks, and may."""
    value = cookie_value(secret)
    given = (header or "").strip().encode("utf-8", "replace")
    if any(hmac.compare_digest(given, each.encode()) for each in (secret, value)):
        return True
    found = _COOKIE.search(cookies or "")
    return found is not None and hmac.compare_digest(found[1], value)
