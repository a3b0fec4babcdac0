"""What the application sets for the current request: user, tags, contexts, breadcrumbs.

Kept in a context variable, so that threads, greenlets and tasks each have their own, and tied to
the request that `current_request` names, or outside of any to the job that the stack shows: what
one of them set is never seen by the next one of the same thread. Values become short plain text at
once: no object of the application is kept. No I/O and no storage here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice
from typing import Any, Protocol

from inapp_monitor.ground import current_request
from inapp_monitor.ground.current_job import Job
from inapp_monitor.issues.exception_tree import traceback_of
from inapp_monitor.issues.render_values import Renderer

MAX_BREADCRUMBS = 50
MAX_TAGS, MAX_TAG_NAME, MAX_TAG_VALUE = 50, 32, 200
MAX_CONTEXTS, MAX_CONTEXT_ITEMS, MAX_CONTEXT_VALUE = 20, 50, 1_000
MAX_USER_ITEMS = 10
#: Seconds since 1970 that a breadcrumb's time is below.
MAX_TIME = 1e11


#: What stands for a user who is not known, such as the `None` that anonymous ones have as their id.
_NOBODY = frozenset(("", "None"))


class Signal(Protocol):
    """What is needed of a blinker signal."""

    def connect(self, receiver: Callable[..., None], *, weak: bool = ...) -> object: ...


Request = tuple[int, object]
Owner = Request | Job


class Scope:
    """The facts of one request or block.

    Attributes:
        user: Such as `{"id": "7", "email": ...}`; `id` counts the users affected.
        tags: Short labels to filter by.
        contexts: Named groups of facts.
        breadcrumbs: What happened before, oldest first: dicts of `time`, `category`, `level`,
            `message`, `data`.
        fingerprint: What the user groups by; `{{ default }}` stands for the computed one.
        owner: Which request or job it belongs to; nothing of the request is kept. None for the
            context alone, see `detach`.
    """

    __slots__ = ("breadcrumbs", "contexts", "fingerprint", "owner", "tags", "user")

    def __init__(self, owner: Owner | None) -> None:
        self.user: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.contexts: dict[str, dict[str, str]] = {}
        self.breadcrumbs: deque[dict[str, Any]] = deque(maxlen=MAX_BREADCRUMBS)
        self.fingerprint: tuple[str, ...] = ()
        self.owner = owner

    def copy(self) -> Scope:
        """A scope with the same facts that can be changed alone."""
        other = Scope(self.owner)
        other.user = dict(self.user)
        other.tags = dict(self.tags)
        other.contexts = dict(self.contexts)
        other.breadcrumbs = deque(self.breadcrumbs, maxlen=MAX_BREADCRUMBS)
        other.fingerprint = self.fingerprint
        return other


_current: ContextVar[Scope | None] = ContextVar("inapp_monitor_scope", default=None)


def current(error: BaseException | None = None) -> Scope | None:
    """The scope of this request or job, None when nothing was set in it yet.

    Args:
        error: Which may have ended the job: a script's is over when its exception is reported.
    """
    scope = _current.get()
    if scope is None:
        return None
    owner, request = scope.owner, _request()
    if request is not None or type(owner) is not Job:
        return scope if owner == request else None
    if owner.is_current():
        return scope
    return scope if error is not None and owner.ended_by(traceback_of(error)) else None


def detach() -> None:
    """The facts of the request or job, as they are, become those of this context: it is a copy in
    which something is recorded later, when the request may be over."""
    facts = current()
    if facts is not None:
        facts = facts.copy()
        facts.owner = None
    _current.set(facts)


def _request() -> Request | None:
    """What distinguishes requests: the record's address, which is used again, and its start. None
    outside of any: a thread may still know one that is over, or belong to none."""
    record = current_request.get()
    if getattr(record, "environ", None) is None:
        return None
    return id(record), getattr(record, "start", None)


def current_environ() -> Mapping[str, Any] | None:
    """The WSGI environ of this request, where the request path named it and it still runs."""
    return getattr(current_request.get(), "environ", None)


def _scope() -> Scope:
    scope = current()
    if scope is None:
        scope = Scope(_request() or Job())
        _current.set(scope)
    return scope


@contextmanager
def new_scope() -> Iterator[Scope]:
    """A block whose tags, user and breadcrumbs are forgotten at its end."""
    before = current()
    scope = before.copy() if before is not None else Scope(_request() or Job())
    token = _current.set(scope)
    try:
        yield scope
    finally:
        try:
            _current.reset(token)
        except ValueError:  # a generator that was closed in another context
            _current.set(before)


def set_user(user: Mapping[str, object] | str | int | None) -> None:
    """Name who is affected: an id or a mapping with `id`; None forgets, also as a value of it."""
    if user is None:
        _scope().user = {}
        return
    texts = _texts(user, MAX_USER_ITEMS, MAX_TAG_VALUE, otherwise="id")
    _scope().user = {name: text for name, text in texts.items() if text not in _NOBODY}


def set_tag(name: str, value: object) -> None:
    """Label the events of this scope."""
    tags = _scope().tags
    known = text_of(name, MAX_TAG_NAME)
    if known in tags or len(tags) < MAX_TAGS:
        tags[known] = text_of(value, MAX_TAG_VALUE)


def set_context(name: str, facts: Mapping[str, object]) -> None:
    """Add a named group of facts to the events of this scope."""
    contexts = _scope().contexts
    known = text_of(name, MAX_TAG_NAME)
    if known in contexts or len(contexts) < MAX_CONTEXTS:
        contexts[known] = _texts(facts, MAX_CONTEXT_ITEMS, MAX_CONTEXT_VALUE)


def set_fingerprint(parts: Sequence[str] | None) -> None:
    """Group the events of this scope by these texts; `{{ default }}` stands for our own rule."""
    given: Iterable[object] = () if parts is None else (parts,)
    if issubclass(type(parts), list):
        given = list.__iter__(parts)  # type: ignore[arg-type]
    elif issubclass(type(parts), tuple):
        given = tuple.__iter__(parts)  # type: ignore[arg-type]
    _scope().fingerprint = tuple(text_of(part, 200) for part in islice(given, 20))


def add_breadcrumb(
    message: str,
    *,
    category: str = "app",
    level: str = "info",
    data: Mapping[str, object] | None = None,
    time: float | None = None,
) -> None:
    """Note something that happened before a failure; the last 50 of a scope are kept."""
    crumb: dict[str, Any] = {
        "time": _time(time),
        "category": text_of(category, 100),
        "level": text_of(level, 20),
        "message": text_of(message, MAX_CONTEXT_VALUE),
    }
    if data is not None:
        crumb["data"] = _texts(data, MAX_CONTEXT_ITEMS, MAX_TAG_VALUE)
    _scope().breadcrumbs.append(crumb)


def add_breadcrumb_once(message: str, *, category: str, level: str, time: float) -> None:
    """Note what several monitors hear of, unless it is the latest one already."""
    scope = current()
    latest = scope.breadcrumbs[-1] if scope is not None and scope.breadcrumbs else {}
    if latest.get("time") != time or latest.get("category") != text_of(category, 100):
        add_breadcrumb(message, category=category, level=level, time=time)


def breadcrumbs_from(signal: Signal, *, category: str = "signal") -> Callable[..., None]:
    """Note every sending of a blinker signal, such as Flask's `template_rendered`.

    Returns:
        The receiver: `signal.disconnect(receiver)` ends it.
    """
    name = str(getattr(signal, "name", signal))

    def receive(_sender: object, **facts: object) -> None:
        add_breadcrumb(name, category=category, data=facts)

    signal.connect(receive, weak=False)
    return receive


def text_of(value: object, limit: int) -> str:
    """Plain text of any value, strings as they are; no code of the application runs."""
    if issubclass(type(value), str):
        return str.__str__(value)[:limit]
    return Renderer().render(value, limit)


def _time(value: object) -> float | None:
    """A number of seconds that can be a time."""
    kind = type(value)
    if kind is not int and kind is not float:  # not `in`, which asks the metaclass
        return None
    return value if 0 <= value < MAX_TIME else None  # type: ignore[operator, return-value]


def _texts(facts: Any, items: int, limit: int, otherwise: str = "value") -> dict[str, str]:
    """Names and texts of some facts; what is no mapping becomes one of the name `otherwise`.

    Decided by the type: asking a lazy object, such as Django's `request.user`, runs its query.
    """
    kind = type(facts)
    pairs: list[tuple[object, object]] = [(otherwise, facts)]
    try:
        if issubclass(kind, dict):
            pairs = list(islice(dict.items(facts), items))
        elif issubclass(kind, Mapping):
            pairs = list(islice(facts.items(), items))
    except Exception:  # noqa: BLE001, S110  # a mapping or a metaclass of the application's
        pass
    return {text_of(name, MAX_TAG_NAME): text_of(value, limit) for name, value in pairs}
