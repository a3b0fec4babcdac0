"""`/sentry/api/<project>/envelope/` and its kin: where Sentry's SDKs send to.

These addresses ask for a key of an SDK instead of a token, and only write. The answers are those
that SDKs obey: 200 with an id, 413, 415, 429 with `Retry-After` and `X-Sentry-Rate-Limits`.
`/sentry/stream` is what `spotlight=` sends to; on a development server it needs no key.

What must not be here: what the bytes mean (`ingest.sentry`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from inapp_monitor.ground.exceptions import FormatError
from inapp_monitor.ingest.sentry import authentication, encoding
from inapp_monitor.ingest.sentry.envelope import (
    Envelope,
    Source,
    parse_header,
    parse_items,
    parse_store,
)
from inapp_monitor.ingest.sentry.origins import is_allowed
from inapp_monitor.ingest.sentry.refusal import Refusal
from inapp_monitor.ingest.sentry.stored_event import FIELD
from inapp_monitor.web.access.development import is_local_development
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.sentry import own_sdk
from inapp_monitor.web.sentry.request_body import RequestBody

if TYPE_CHECKING:
    from inapp_monitor.ingest.sentry.door import Door
    from inapp_monitor.ingest.sentry.keys import Key

#: For a place: bursts are answered one after the other.
_LONGEST_WAIT_S = 0.5
#: Until the key is known; from then until the whole body is there; for the rest of a refused one.
_KEY_S, _BODY_S, _REFUSED_S = 3.0, 15.0, 1.0
#: Bytes that are read of a request that is refused for its key.
_READ_UNKNOWN = 2**18
#: The project of what needs no key.
_DEVELOPMENT = "development"
_ALLOWED_HEADERS = (
    "Authorization, Baggage, Content-Encoding, Content-Type, Sentry-Trace, X-Requested-With,"
    " X-Sentry-Auth"
)
_EXPOSED = "X-Sentry-Error, X-Sentry-Rate-Limits, Retry-After"


#: A transparent GIF of one pixel.
_PIXEL = bytes.fromhex(
    "47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b"
)


class ForeignOrigin(Refusal):
    """A page of an origin that may not send; it may not read the answer either."""

    def __init__(self, project: str = "") -> None:
        message = "pages of this origin may not send with this key"
        super().__init__(403, message, reason="origin", project=project)


def receive_envelope(backend: Backend, request: MonitorRequest, project: str = "") -> Response:
    """An envelope; without a project in the address, that of the DSN in it (a tunnel)."""
    return _receive(backend, request, project, is_envelope=True)


def receive_store(backend: Backend, request: MonitorRequest, project: str) -> Response:
    """One event without an envelope, as old SDKs send it; old browsers by asking for an image."""
    answer = _receive(backend, request, project, is_envelope=False)
    if request.method == "GET" and answer.status_code == 200:
        answer.set_data(_PIXEL)
        answer.mimetype = "image/gif"
    return answer


def receive_stream(backend: Backend, request: MonitorRequest) -> Response:
    """What `spotlight=` sends beside the DSN."""
    return _receive(backend, request, "", is_envelope=True, is_stream=True)


def _receive(
    backend: Backend,
    request: MonitorRequest,
    project: str,
    *,
    is_envelope: bool,
    is_stream: bool = False,
) -> Response:
    own_sdk.forget_this_request()
    door = backend.sentry
    if door is None:
        return _answer(Refusal(404, "nothing is received here"))
    if request.method == "OPTIONS":
        return _preflight(backend, door, request)
    with door.deadlines.within(_KEY_S, request.environ) as reading:
        body = RequestBody(request.environ, reading)
        try:
            accept = partial(_accept, backend, door, request, body)
            return accept(project, is_envelope=is_envelope, is_stream=is_stream)
        except Refusal as refusal:
            door.inbox.refused(refusal.project, refusal.reason)
            if isinstance(refusal, ForeignOrigin):
                return _answer(refusal)
            _pass_over(door, body, refusal)
            return _with_origin(_answer(refusal), request)
        except (FormatError, OSError) as error:
            backend.guard.failed("keys of SDKs", error)
            return _answer(Refusal(503, "the keys cannot be read", 60))


def _pass_over(door: Door, body: RequestBody, refusal: Refusal) -> None:
    """Read what is left of a refused request: a client that still sends would miss the answer."""
    if door.places_refused.acquire(blocking=False):
        try:
            body.reading.allow(_REFUSED_S)
            body.drain(encoding.MAX_BODY if refusal.status in (400, 413, 415) else _READ_UNKNOWN)
        finally:
            door.places_refused.release()


def _accept(
    backend: Backend,
    door: Door,
    request: MonitorRequest,
    body: RequestBody,
    project: str,
    *,
    is_envelope: bool,
    is_stream: bool,
) -> Response:
    """Judge the key, before anything is read where it is in the head; then read, then record."""
    shown = authentication.key_of_headers(
        request.headers.get("X-Sentry-Auth", ""),
        request.headers.get("Authorization", ""),
        request.args,
    )
    is_open = is_stream and not shown and _is_development(backend, request)
    key = _key(backend, door, request, shown, project) if shown else None
    if key is None and not is_envelope:
        raise Refusal(401, "a key is needed: X-Sentry-Auth or ?sentry_key=")
    with _refused_for(key), _place(door.places if key or is_open else door.places_without_key):
        if key or is_open:
            body.reading.allow(_BODY_S)
        source = Source(encoding.pieces(body.read, request.headers.get("Content-Encoding", "")))
        header = parse_header(source) if is_envelope else {}
        if key is None and not is_open:
            found, number = authentication.key_of_dsn(header.get("dsn"))
            key = _key(backend, door, request, found, project or number)
            body.reading.allow(_BODY_S)
        with _refused_for(key):
            if request.method == "GET":
                source = Source([request.args.get(FIELD, "").encode("utf-8", "replace")])
            is_store = not is_envelope
            envelope = parse_store(source) if is_store else Envelope(header, parse_items(source))
            keeps_address = backend.loaded.settings.error_remote_address
            address = request.remote_addr if keeps_address else None
            name = key.project if key else _DEVELOPMENT
            with door.recording:
                event_id = door.inbox.accept(envelope, name, address or "")
    return _with_origin(_json(200, {"id": event_id} if event_id else {}), request)


@contextmanager
def _refused_for(key: Key | None) -> Iterator[None]:
    """Count what is refused within as the project's whose key was shown."""
    try:
        yield
    except Refusal as refusal:
        if key is not None:
            refusal.project = key.project
        raise


@contextmanager
def _place(places: threading.BoundedSemaphore) -> Iterator[None]:
    """Be one of those at once.

    Raises:
        Refusal: 429 when there is no place.
    """
    if not places.acquire(timeout=_LONGEST_WAIT_S):
        raise Refusal(429, "too many at once", 1)
    try:
        yield
    finally:
        places.release()


def _key(backend: Backend, door: Door, request: MonitorRequest, shown: str, project: str) -> Key:
    """The key, when it is good for this request.

    Raises:
        Refusal: 401 unknown or revoked, 403 project or origin, 429 too many.
    """
    key = door.keys.find(shown) if shown else None
    if key is None or key.revoked:
        reason = "revoked key" if key else "unknown key" if shown else "no key"
        message = "this key is not known here" if shown else "a key is needed"
        raise Refusal(401, message, reason=reason)
    name = key.project
    if project and project != str(key.number):
        message = f"the key is not one of project {project[:20]}"
        raise Refusal(403, message, reason="another project", project=name)
    allowed = key.origins or backend.loaded.settings.sentry_origins
    if not _may_send(request, allowed):
        raise ForeignOrigin(name)
    wait_s = door.rate_limit.wait_s(key.key, key.per_minute, backend.clock.perf())
    if wait_s:
        message = f"more than {key.per_minute} requests a minute"
        raise Refusal(429, message, wait_s, reason="too many", project=name)
    return key


def _may_send(request: MonitorRequest, allowed: Sequence[str]) -> bool:
    """Whether the page that sends, if it is one, may do so."""
    headers = request.headers
    origin = headers.get("Origin", "")
    if not origin and request.method == "GET":  # an image is asked for without its page's origin
        origin = "/".join(headers.get("Referer", "")[:2_000].split("/")[:3])
    return is_allowed(origin, headers.get("Host", ""), allowed)


def _preflight(backend: Backend, door: Door, request: MonitorRequest) -> Response:
    """What a browser asks before it sends from another origin."""
    key = door.keys.find(request.args.get("sentry_key", ""))
    known = [key] if key else [each for each in door.keys.all() if not each.revoked]
    setting = backend.loaded.settings.sentry_origins
    allowed = [origin for each in known for origin in each.origins or setting]
    if not _may_send(request, allowed):
        return _answer(ForeignOrigin())
    response = _with_origin(Response(status=204), request)
    response.headers["Access-Control-Allow-Methods"] = "POST, OPTIONS"
    response.headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
    response.headers["Access-Control-Max-Age"] = "3600"
    response.headers["Allow"] = "POST, OPTIONS"
    return response


def _with_origin(response: Response, request: MonitorRequest) -> Response:
    """Let the page that sent it read the answer, which says nothing but whether it was accepted."""
    origin = request.headers.get("Origin", "")
    if origin and origin.isprintable() and len(origin) <= 300:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        response.vary.add("Origin")
    return response


def _answer(refusal: Refusal) -> Response:
    response = _json(refusal.status, {"detail": refusal.message})
    response.headers["X-Sentry-Error"] = refusal.message.encode("ascii", "replace").decode()[:200]
    if refusal.retry_after_s:
        response.headers["Retry-After"] = str(refusal.retry_after_s)
        response.headers["X-Sentry-Rate-Limits"] = f"{refusal.retry_after_s}::key"
    return response


def _json(status: int, body: dict[str, str]) -> Response:
    return Response(json.dumps(body).encode(), status=status, mimetype="application/json")


def _is_development(backend: Backend, request: MonitorRequest) -> bool:
    """Whether `dev_access` opens this request, as it does every page."""
    return backend.loaded.settings.dev_access and is_local_development(request.environ)


_METHODS = ("POST", "OPTIONS")
ROUTES = [
    Route(rule, handler, methods=methods, admits_itself=True)
    for rule, handler, methods in (
        ("/sentry/api/<name:project>/envelope/", receive_envelope, _METHODS),
        ("/sentry/api/<name:project>/store/", receive_store, ("GET", *_METHODS)),
        ("/sentry/tunnel/", receive_envelope, _METHODS),
        ("/sentry/stream/", receive_stream, _METHODS),
    )
]
