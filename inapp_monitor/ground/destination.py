"""Where something is sent to: an address of the setting `forward`, taken apart and checked. Pure.

carbon://host:2003                Graphite's Carbon, a line a point; `?protocol=pickle` for 2004
otlp://host:4318, otlps://host    an OpenTelemetry collector by OTLP/HTTP
prometheus://host:9090, prometheuss://host   remote write, to `/api/v1/write` or the path given
https://KEY@host/1                Sentry, Bugsink, GlitchTip: a DSN
sentry_sdk                        exceptions to the SDK that the application has set up itself
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

Kind = Literal["carbon", "otlp", "prometheus", "sentry", "sentry_sdk", "http"]
#: By scheme: what it is, whether by TLS, the port, and the options with what they may be.
_SCHEMES: Final[dict[str, tuple[Kind, bool, int]]] = {
    "carbon": ("carbon", False, 2003),
    "otlp": ("otlp", False, 4318),
    "otlps": ("otlp", True, 4318),
    "prometheus": ("prometheus", False, 9090),
    "prometheuss": ("prometheus", True, 443),
    "http": ("sentry", False, 80),
    "https": ("sentry", True, 443),
}
#: What stands in a header as it is; it must be printable ASCII.
_PRINTABLE: Final = re.compile(r"[!-~]*")
_OPTIONS: Final[dict[Kind, dict[str, re.Pattern[str]]]] = {
    "carbon": {
        "protocol": re.compile("plaintext|pickle"),
        "names": re.compile("native|statsd"),
        "prefix": re.compile(r"[\w.-]*", re.ASCII),
    },
    "otlp": {
        "encoding": re.compile("json|protobuf"),
        "temporality": re.compile("delta|cumulative"),
        "bearer": _PRINTABLE,
    },
    "prometheus": {"bearer": _PRINTABLE},
    "sentry": {},
    "sentry_sdk": {},
    "http": {},
}
#: The address that is none.
APPLICATION_SDK: Final = "sentry_sdk"
_NOT_A_NODE: Final = re.compile(r"[^A-Za-z0-9-]+")
_MAX_NODE_CHARS: Final = 80
#: Segments of a path that engines have; any other one may be a key.
_USUAL_SEGMENT: Final = re.compile(
    "api|ingest|insert|mimir|opentelemetry|otel|otlp|prometheus|prom|push|receive|remote|write"
    r"|remote_write|import|select|vm|_metrics|metrics|v[0-9]|[0-9]{1,9}"
)
#: Shorter ones are in any text.
_FEWEST_SECRET_CHARS: Final = 3


@dataclass(frozen=True, slots=True)
class Destination:
    """One address.

    Attributes:
        kind: What is spoken there.
        secure: Whether by TLS.
        host, port, path: Where; a path has no slash at its end, and may have a key in it.
        user, password: As in the address; "" without. Secret, as `options` may be.
        options: What follows the question mark.
    """

    kind: Kind
    secure: bool
    host: str
    port: int
    path: str = field(default="", repr=False)
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    options: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def label(self) -> str:
        """What people are shown: no secret is in it."""
        shown = [part if _is_usual(part) else "…" for part in self.path.split("/")]
        return f"{self._server}{'/'.join(shown)}"

    @property
    def address(self) -> str:
        """What identifies it, without user and options; secret, for a key may be in its path."""
        return f"{self._server}{self.path}"

    @property
    def node(self) -> str:
        """A node of series names, and the name of its file: no secret is in it.

        Of a path that may hold one, and of a name that is too long, a digest tells it from others.
        """
        parts = [part for part in self.path.split("/") if _is_usual(part)]
        text = f"{self.kind}_{self.host}_{self.port}{'/'.join(parts)}"
        if self.kind == "sentry_sdk":
            return self.kind
        node = _NOT_A_NODE.sub("_", text).strip("_")
        if self._hidden_parts or len(node) > _MAX_NODE_CHARS:
            digest = hashlib.sha256(self.address.encode()).hexdigest()[:8]
            return f"{node[: _MAX_NODE_CHARS - 9]}_{digest}"
        return node

    @property
    def _server(self) -> str:
        if self.kind == "sentry_sdk":
            return self.kind
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind}://{host}:{self.port}"

    @property
    def _hidden_parts(self) -> list[str]:
        return [part for part in self.path.split("/") if not _is_usual(part)]

    def without_secrets(self, text: str) -> str:
        """A text of the peer's, which may repeat what it was sent, with "…" for each secret."""
        both = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        given = [self.user, self.password, both, *self.options.values(), *self._hidden_parts]
        found = {form for each in given for form in (each, unquote(each), quote(each, safe=""))}
        found = {each for each in found if len(each) >= _FEWEST_SECRET_CHARS}
        for secret in sorted(found, key=len, reverse=True):
            text = re.sub(re.escape(secret), "…", text, flags=re.IGNORECASE)
        return text


def _is_usual(segment: str) -> bool:
    return not segment or bool(_USUAL_SEGMENT.fullmatch(segment))


def parse(text: str) -> Destination:
    """The parts of an address.

    Raises:
        ValueError: what is wrong with it, without anything of it that may be secret.
    """
    if text == APPLICATION_SDK:
        return Destination("sentry_sdk", secure=False, host="", port=0)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"no address: {error}") from None
    known = _SCHEMES.get(parts.scheme)
    if known is None:
        schemes = ", ".join(f"{name}://" for name in _SCHEMES)
        raise ValueError(f"scheme {parts.scheme[:20]!r} is none of {schemes}, sentry_sdk")
    kind, secure, usual_port = known
    if not parts.hostname:
        raise ValueError(f"expected {parts.scheme}://host:port")
    if parts.fragment:
        raise ValueError("an address has no fragment")
    _check_path(parts.path)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name, value in options.items():
        allowed = _OPTIONS[kind].get(name)
        if allowed is None:
            names = ", ".join(_OPTIONS[kind]) or "none"
            raise ValueError(f"unknown option {name[:40]!r}: {kind} has {names}")
        if not allowed.fullmatch(value):
            raise ValueError(f"option {name!r} must be {allowed.pattern}")
    if kind == "sentry":
        _check_dsn(parts.username, parts.path)
    elif kind == "carbon" and parts.path not in ("", "/"):
        raise ValueError("a carbon address has no path")
    if kind == "carbon" and port is None and options.get("protocol") == "pickle":
        usual_port = 2004
    return Destination(
        kind,
        secure,
        parts.hostname,
        usual_port if port is None else port,
        parts.path.rstrip("/"),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        options,
    )


def _check_path(path: str) -> None:
    if not _PRINTABLE.fullmatch(path):
        raise ValueError("a path is of printable ASCII; other characters are written as %20")


def _check_dsn(key: str | None, path: str) -> None:
    if not key or not _PRINTABLE.fullmatch(unquote(key)):
        raise ValueError("a DSN is https://KEY@host/PROJECT, and the key is missing or unusual")
    if not re.fullmatch(r"(/[^/]+)*/\d+/?", path):
        raise ValueError("a DSN is https://KEY@host/PROJECT, and PROJECT is a number")


def parse_url(text: str) -> Destination:
    """An address of HTTP, without options.

    Raises:
        ValueError: what was expected.
    """
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port
    except ValueError as error:
        raise ValueError(f"no address: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected http://HOST:PORT or https://HOST")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("expected an address without user, query and fragment")
    _check_path(parts.path)
    secure = parts.scheme == "https"
    usual_port = 443 if secure else 80
    return Destination(
        "http", secure, parts.hostname, port or usual_port, path=parts.path.rstrip("/")
    )


def parse_destinations(value: object) -> tuple[str, ...]:
    """Addresses as `carbon://host:2003`, `otlp://host`, DSNs `https://KEY@host/1`; `sentry_sdk`."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise ValueError("a list of addresses")
    found = [part.strip() for text in texts for part in text.split(",") if part.strip()]
    nodes: set[str] = set()
    for text in found:
        try:
            node = parse(text).node
        except ValueError as error:
            raise ValueError(f"addresses such as carbon://host:2003: {error}") from None
        if node in nodes:
            raise ValueError("addresses, each of them once")
        nodes.add(node)
    return tuple(found)
