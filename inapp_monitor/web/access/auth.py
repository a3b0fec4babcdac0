"""Who may see the dashboard: closed by default, decided from the environ alone.

In this order: the user's own authorizer (then it alone decides), a bearer token for machines, the
session cookie that a token was swapped for, and `dev_access` where somebody switched it on. No
werkzeug here and no URL: `app` turns the decision into answers.
"""

from __future__ import annotations

import base64
import hmac
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from inapp_monitor.ground.clock import Clock
from inapp_monitor.ground.config import Settings
from inapp_monitor.ground.guard import Guard
from inapp_monitor.web.access.attempts import UNGUESSABLE_CHARS
from inapp_monitor.web.access.development import is_local_development
from inapp_monitor.web.access.origin import is_forwarded, is_program, is_same_origin, network_of
from inapp_monitor.web.access.sessions import SESSION_S as SESSION_S
from inapp_monitor.web.access.sessions import Session, Signer
from inapp_monitor.web.access.shared_state import SharedState, State

#: The user's own check: a WSGI environ in, True or a user's name (or object) out.
Authorizer = Callable[[dict[str, Any]], object]


class Access(NamedTuple):
    """What was decided about one request.

    Attributes:
        allowed: Whether it may see anything.
        by: `authorizer`, `bearer`, `ingest`, `cookie`, `dev` or "" when refused.
        user: Who it is, for the page's corner; may be empty.
        session: What a CSRF token is bound to.
        retry_after_s: The token was not judged, because too many wrong ones came; when one will be.
    """

    allowed: bool
    by: str = ""
    user: str = ""
    session: str = ""
    retry_after_s: int = 0


class Gate:
    """Decides about requests; one a process.

    *Threads:* any. Workers share what they must by `SharedState`.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        token: str,
        authorizer: Authorizer | None = None,
        shared: SharedState | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._authorizer = authorizer
        self._shared = shared or SharedState(settings.data_dir, Guard(), may_write=False)
        self.use_token(token)

    def use_token(self, token: str, earlier: str = "") -> None:
        """Let this token in from now on, and an earlier one that people may still hold.

        Another token ends all sessions of the one before.
        """
        if not token:
            raise ValueError("the dashboard's token must not be empty")
        self._token = token.encode()
        self._earlier = earlier.encode()
        self._signer = Signer(token)

    @property
    def judges_tokens(self) -> bool:
        """Whether a token opens anything: not where the user's authorizer decides."""
        return self._authorizer is None

    @property
    def cookie_name(self) -> str:
        """Of the session's cookie."""
        return self._signer.cookie_name

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
            return self._judge(environ, given.strip(), "bearer")
        session = self._session(environ)
        if session is not None:
            return Access(True, "cookie", "", session.value)
        if self._settings.dev_access and is_local_development(environ):
            return Access(True, "dev", "", "dev")
        return Access(False)

    def check_sender(self, environ: dict[str, Any]) -> Access:
        """Decide about a request that brings numbers and asks for none.

        The ingest-only token opens this too, and a token may come as programs send one: as Bearer,
        as InfluxDB's `Token`, or as user or password of Basic.

        Raises:
            Exception: whatever the user's authorizer raises; the caller refuses then.
        """
        given = sent_tokens(str(environ.get("HTTP_AUTHORIZATION", "")))
        only_ingest = self._settings.ingest_token
        if only_ingest and any(is_equal(text, only_ingest) for text in given):
            return Access(True, "ingest", "", "ingest")
        if self._authorizer is not None or not given:
            return self.check(environ)
        return self._judge(environ, next(filter(self.is_token, given), given[-1]), "bearer")

    def login(self, environ: dict[str, Any], given: str) -> Access:
        """Decide about a token that was typed in or came with a login link."""
        return self._judge(environ, given, "cookie")

    def log_out(self, environ: Mapping[str, Any]) -> None:
        """End the session that came with a request, in all workers."""
        now = self._clock.wall()
        found = self._signer.sessions(str(environ.get("HTTP_COOKIE", "")), now)

        def end(state: State) -> None:
            for session in found:
                state.end(session.number, session.expiry, now)

        if found:
            self._shared.change(end)

    def is_token(self, given: str) -> bool:
        """Whether `given` is the token; the comparison takes the same time for all."""
        sent = _bytes(given)
        is_earlier = hmac.compare_digest(sent, self._earlier) and bool(self._earlier)
        return hmac.compare_digest(sent, self._token) or is_earlier

    def csrf_token(self, access: Access) -> str:
        """What a form of this session must carry."""
        return self._signer.sign(f"csrf {access.session}")

    def may_change(self, environ: Mapping[str, Any], access: Access, csrf: str) -> bool:
        """Whether a POST is meant: a token in the header, or our own page with its CSRF token."""
        if access.by in ("bearer", "ingest") or (access.by == "dev" and is_program(environ)):
            return True
        return is_same_origin(environ) and hmac.compare_digest(
            _bytes(csrf), _bytes(self.csrf_token(access))
        )

    def _session(self, environ: Mapping[str, Any]) -> Session | None:
        """The session that a request carries: signed here, not expired, not logged out of."""
        cookies = str(environ.get("HTTP_COOKIE", ""))
        found = self._signer.sessions(cookies, self._clock.wall())
        if not found:
            return None
        state = self._shared.read()
        return next((session for session in found if not state.is_ended(session)), None)

    def _judge(self, environ: Mapping[str, Any], given: str, by: str) -> Access:
        """Judge a token, unless too many wrong ones came from there or in total.

        No thread sleeps for it: that would hold the app's own workers. A session that is there
        goes on all the while, and so does the right token where it cannot be guessed.
        """
        if not given:
            return Access(False)
        now, place = self._clock.wall(), self._place(environ)
        attempts = self._shared.read().attempts
        wait_s = attempts.wait_s(place, now)
        is_right = self.is_token(given)
        if wait_s and not (is_right and len(given) >= UNGUESSABLE_CHARS):
            return Access(False, retry_after_s=math.ceil(wait_s))
        if not is_right:
            self._shared.change(lambda state: state.attempts.wrong(place, now))
            return Access(False)
        if attempts.is_news(place, now):
            self._shared.change(lambda state: state.attempts.right(place, now))
        if by == "cookie":
            return Access(True, by, "", self._signer.new_session(now))
        return Access(True, by, "", by)

    def _place(self, environ: Mapping[str, Any]) -> str:
        """Where a token came from, as a hash.

        What a proxy says of its client is not believed: who guesses could say what they like. But
        whether there is a proxy tells the world from the programs of this machine.
        """
        network = network_of(str(environ.get("REMOTE_ADDR", "")))
        return self._signer.sign(f"place {network} {is_forwarded(environ)}")[:16]


def sent_tokens(header: str) -> list[str]:
    """What may be a token in an Authorization header, the likeliest last."""
    scheme, _, given = header.partition(" ")
    given = given.strip()
    if scheme.lower() in ("bearer", "token"):
        return [given] if given else []
    if scheme.lower() != "basic":
        return []
    try:
        user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
    except ValueError:
        return []
    return [text for text in (user, password) if text]


def is_equal(given: str, secret: str) -> bool:
    """Whether two texts are the same; the comparison takes the same time for all."""
    return hmac.compare_digest(_bytes(given), _bytes(secret))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
