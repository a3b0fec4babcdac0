"""Functions of the interpreter that are replaced by one which looks and passes on.

Such as `sys.excepthook`: what was installed before keeps being called, what others put over it
stays, and one that nobody listens to any more is removed as soon as it can be. What is looked for
is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
#: Attribute of the hooks that are installed here: their `_Hook`.
_HOOK_ATTRIBUTE = "_inapp_monitor_hook"


class _Hook:
    """What is known of a hook that is installed here.

    Attributes:
        function: The hook.
        before: What was there before it, which it calls.
        listener: Returns who listens, or None: then the hook only passes on.
    """

    __slots__ = ("before", "function", "listener")

    def __init__(self, before: Callable[..., Any], listener: Callable[[], object]) -> None:
        self.before = before
        self.listener = listener
        self.function: Callable[..., Any] = before


def install(
    place: Any,
    name: str,
    listener: Callable[[], T | None],
    see: Callable[[T, tuple[Any, ...]], object],
) -> Callable[[], None]:
    """Put a hook that looks and passes on over the present one.

    Args:
        place, name: The object, and which of its attributes is the hook.
        listener: Returns who listens; None: nobody any more.
        see: Called with the listener and the arguments of a call, those by name last. What it
            raises is dropped.

    Returns:
        A function that removes it; those that others have put over it stay and pass on what they
        get.
    """
    _remove_idle(place, name)
    own = _Hook(getattr(place, name), listener)

    def hook(*arguments: Any, **named: Any) -> Any:
        listening: Any = own.listener()
        if listening is not None:
            try:
                see(listening, (*arguments, *named.values()) if named else arguments)
            except Exception:  # noqa: BLE001, S110  # odd arguments: what was here goes on
                pass
        return own.before(*arguments, **named)

    def restore() -> None:
        own.listener = _nobody
        _remove_idle(place, name)

    own.function = hook
    setattr(hook, _HOOK_ATTRIBUTE, own)
    setattr(place, name, hook)
    return restore


def _nobody() -> None:
    """Who listens to a removed hook."""


def _remove_idle(place: Any, name: str) -> None:
    """Remove hooks without a listener, except below a hook of others: they must not accumulate
    where monitors come and go."""
    top = getattr(place, name)
    hook = _first_active(top)
    if hook is not top:
        setattr(place, name, hook)
    while (own := _own_hook(hook)) is not None:
        hook = own.before = _first_active(own.before)


def _first_active(hook: Any) -> Any:
    """The hook, or the first one beneath that has a listener or is of others."""
    while (own := _own_hook(hook)) is not None and own.listener() is None:
        hook = own.before
    return hook


def _own_hook(hook: Any) -> _Hook | None:
    """What is known of a hook; None when it was not installed here."""
    own = getattr(hook, _HOOK_ATTRIBUTE, None)
    # A hook of others may have every attribute, or a copy of this one.
    return own if type(own) is _Hook and own.function is hook else None
