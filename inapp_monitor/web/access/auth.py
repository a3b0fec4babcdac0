"""Who may see the dashboard: closed by default, decided from the environ alone.

In this order: the user's own authorizer (then it alone decides), a bearer token for machines, the
session cookie that a token was swapped for, and the convenience for a local development server.
No werkzeug here and no URL: `app` turns the decision into answers.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.config import Settings

#: The user's own check: a WSGI environ in, True or a user's name (or object) out.
Authorizer = Callable[[dict[str, Any]], object]

SESSION_S = 7 * 86_400
#: Wrong tokens a minute from one peer before it is answered 429.
FAILURES_PER_MINUTE = 20
_PEERS_REMEMBERED = 1_000
#: Servers that exist for development only.
_DEV_SERVERS = ("Werkzeug/", "WSGIServer/")
#: A proxy in front of us names itself in one of these: then no peer is known to be local.
_FORWARDING = (
    "HTTP_FORWARDED",
    "HTTP_VIA",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_SERVER",
    "HTTP_X_REAL_IP",
    "HTTP_X_CLIENT_IP",
    "HTTP_X_CLUSTER_CLIENT_IP",
    "HTTP_TRUE_CLIENT_IP",
    "HTTP_CF_CONNECTING_IP",
    "HTTP_FASTLY_CLIENT_IP",
)
_BROWSER_MARKS = (
    "HTTP_ORIGIN",
    "HTTP_REFERER",
    "HTTP_COOKIE",
    "HTTP_SEC_FETCH_SITE",
    "HTTP_SEC_FETCH_MODE",
)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,255})(?::\d{1,5})?", re.ASCII)


class Access(NamedTuple):
    """What was decided about one request.

    Attributes:
        allowed: Whether it may see anything.
        by: `authorizer`, `bearer`, `cookie`, `dev` or "" when refused.
        user: Who it is, for the page's corner; may be empty.
        session: What a CSRF token is bound to.
        throttled: Refused, and this peer has failed too often.
    """

    allowed: bool
    by: str = ""
    user: str = ""
    session: str = ""
    throttled: bool = False


class Gate:
    """Decides about requests; one a process.

    *Threads:* the table of failures is a plain dict; a lost count is acceptable.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        token: str,
        authorizer: Authorizer | None = None,
    ) -> None:
        if not token:
            raise ValueError("the dashboard's token must not be empty")
        self._settings = settings
        self._clock = clock
        self._authorizer = authorizer
        self._failures: dict[str, list[float]] = {}
        self.use_token(token)

    def use_token(self, token: str, earlier: str = "") -> None:
        """Let this token in from now on, and an earlier one that people may still hold."""
        self._token = token.encode()
        self._earlier = earlier.encode()
        # Two apps on one host share its cookies whatever their port: each has a name of its own.
        self.cookie_name = f"inapp_monitor_{self._sign('cookie name')[:8]}"

    def check(self, environ: dict[str, Any]) -> Access:
        """Decide about one request.

        Raises:
            Exception: whatever the user's authorizer raises; the caller refuses then.
        """
        if self._authorizer is not None:
            user = self._authorizer(environ)
            if not user:
                return Access(False)
            return Access(True, "authorizer", "" if user is True else str(user)[:100], "authorizer")
        scheme, _, given = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        if scheme.lower() == "bearer":
            if self.is_token(given.strip()):
                return Access(True, "bearer", "", "bearer")
            return self._refused(environ)
        session = self._session(environ)
        if session:
            return Access(True, "cookie", "", session)
        if self._settings.dev_access and is_local_development(environ):
            return Access(True, "dev", "", "dev")
        return Access(False)

    def login(self, environ: dict[str, Any], given: str) -> Access:
        """Decide about a token that was typed in or came with a login link; counts failures."""
        if self.is_token(given):
            return Access(True, "cookie", "", self._new_session())
        return self._refused(environ)

    def is_token(self, given: str) -> bool:
        """Whether `given` is the token; the comparison takes the same time for all."""
        sent = _bytes(given)
        is_earlier = hmac.compare_digest(sent, self._earlier) and bool(self._earlier)
        return hmac.compare_digest(sent, self._token) or is_earlier

    def csrf_token(self, access: Access) -> str:
        """What a form of this session must carry."""
        return self._sign(f"csrf {access.session}")

    def may_change(self, environ: Mapping[str, Any], access: Access, csrf: str) -> bool:
        """Whether a POST is meant: a token in the header, or our own page with its CSRF token."""
        if access.by == "bearer" or (access.by == "dev" and _is_program(environ)):
            return True
        return is_same_origin(environ) and hmac.compare_digest(
            _bytes(csrf), _bytes(self.csrf_token(access))
        )

    def _new_session(self) -> str:
        expiry = int(self._clock.wall()) + SESSION_S
        body = f"{expiry}.{secrets.token_hex(8)}"
        return f"{body}.{self._sign('session ' + body)}"

    def _session(self, environ: Mapping[str, Any]) -> str:
        """The session cookie's value when it was issued here and has not expired, else ""."""
        header = str(environ.get("HTTP_COOKIE", ""))
        if self.cookie_name not in header or len(header) > 8192:
            return ""
        try:
            morsel = SimpleCookie(header).get(self.cookie_name)
        except CookieError:
            return ""
        value = morsel.value if morsel is not None else ""
        body, _, signature = value.rpartition(".")
        if not hmac.compare_digest(_bytes(signature), _bytes(self._sign("session " + body))):
            return ""
        return value if int(body.partition(".")[0]) > self._clock.wall() else ""

    def _sign(self, text: str) -> str:
        digest = hmac.new(self._token, text.encode("utf-8", "replace"), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")

    def _refused(self, environ: Mapping[str, Any]) -> Access:
        """Count a wrong token. The right one is never locked out, and no thread sleeps for it:
        sleeping would hold the app's own workers."""
        now = self._clock.perf()
        peer = str(environ.get("REMOTE_ADDR", ""))[:64]
        if peer not in self._failures and len(self._failures) >= _PEERS_REMEMBERED:
            self._failures.clear()
        times = self._failures.setdefault(peer, [])
        times.append(now)
        del times[: -FAILURES_PER_MINUTE - 1]
        return Access(False, throttled=len(times) > FAILURES_PER_MINUTE and times[0] > now - 60)


def is_local_development(environ: Mapping[str, Any]) -> bool:
    """Whether this is a browser on the developer's own machine talking to a development server.

    An address proves nothing: behind a bare reverse proxy every visitor of the world comes from
    127.0.0.1 (and over HTTP/1.0). So all of it must fit: a server made for development, a loopback
    peer, a loopback Host (a rebound DNS name is refused), no trace of a proxy, and no other site's
    page asking in the background.
    """
    if not str(environ.get("SERVER_SOFTWARE", "")).startswith(_DEV_SERVERS):
        return False
    if environ.get("SERVER_PROTOCOL") not in ("HTTP/1.1", "HTTP/2"):
        return False  # browsers and curl speak 1.1; a bare nginx asks its upstream in 1.0
    if any(name in environ for name in _FORWARDING):
        return False
    if not _is_loopback(str(environ.get("REMOTE_ADDR", ""))):
        return False
    host = host_name(environ)
    if not (host == "localhost" or host.endswith(".localhost") or _is_loopback(host)):
        return False
    return (
        environ.get("HTTP_SEC_FETCH_SITE", "none") in ("none", "same-origin")
        or environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
    )


def host_name(environ: Mapping[str, Any]) -> str:
    """The Host header's name in lower case without port; "" when it is missing or malformed."""
    match = _HOST.fullmatch(str(environ.get("HTTP_HOST", "")))
    return match[1].strip("[]").lower() if match else ""


def is_host_allowed(environ: Mapping[str, Any], allowed: tuple[str, ...]) -> bool:
    """Whether the request's Host is one that the settings name; `.example.com` allows subdomains.

    With no names set, every well-formed or missing Host is fine.
    """
    if "HTTP_HOST" in environ and not host_name(environ):
        return False
    if not allowed:
        return True
    host = host_name(environ)
    return any(
        host == name.lower() or (name.startswith(".") and host.endswith(name.lower()))
        for name in allowed
    )


def is_same_origin(environ: Mapping[str, Any]) -> bool:
    """Whether nothing says that the request comes from a page of another host.

    Our pages are sent with `no-referrer`, which makes browsers say `Origin: null` for their own
    forms: that proves nothing either way, and `Sec-Fetch-Site` or the CSRF token has to.
    """
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = environ.get("HTTP_ORIGIN")
    if origin in (None, "null"):
        return True
    try:
        return urlsplit(str(origin)).netloc == str(environ.get("HTTP_HOST", "")) != ""
    except ValueError:
        return False


def _is_program(environ: Mapping[str, Any]) -> bool:
    """Whether no browser sent this: a browser names the origin of every POST, and has cookies."""
    return not any(environ.get(name) for name in _BROWSER_MARKS)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
