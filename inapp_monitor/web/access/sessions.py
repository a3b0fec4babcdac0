"""Sessions: what the cookie holds, how it is found among the app's own cookies, and signed.

A session is `expiry.number.signature`; the token signs it, so that another token ends them all.
Which sessions were ended by a logout is in `shared_state`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

SESSION_S = 7 * 86_400
_VALUE = r"(\d{1,12}\.[0-9a-f]{16})\.([A-Za-z0-9_-]{43})"


class Session(NamedTuple):
    """One that carries our signature.

    Attributes:
        value: The cookie's value.
        number: What tells it from others.
        expiry: When it ends, in seconds since the epoch.
    """

    value: str
    number: str
    expiry: int


class Signer:
    """What one token signs."""

    def __init__(self, token: str) -> None:
        self._key = token.encode("utf-8", "surrogatepass")
        # Two apps on one host share its cookies whatever their port: each has a name of its own.
        self.cookie_name = f"inapp_monitor_{self.sign('cookie name')[:8]}"
        self._cookie = re.compile(rf"(?<![\w-]){self.cookie_name}\s*=\s*\"?{_VALUE}(?![\w-])", re.A)

    def sign(self, text: str) -> str:
        """The signature of a text."""
        digest = hmac.new(self._key, text.encode("utf-8", "replace"), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")

    def new_session(self, now: float) -> str:
        """The value of a new session's cookie."""
        body = f"{int(now) + SESSION_S}.{secrets.token_hex(8)}"
        return f"{body}.{self.sign('session ' + body)}"

    def sessions(self, cookies: str, now: float) -> list[Session]:
        """Those of a Cookie header that we signed and that have not expired.

        The header is searched for our name and not read as a whole: the app's own cookies, and
        those of its neighbours on the host, may hold what no parser of cookies takes.
        """
        found = []
        for match in self._cookie.finditer(cookies):
            body, signature = match.groups()
            if not hmac.compare_digest(signature, self.sign("session " + body)):
                continue
            expiry, _, number = body.partition(".")
            if int(expiry) > now:
                found.append(Session(f"{body}.{signature}", number, int(expiry)))
        return found
