"""Jinja2, Mako and Django's templates: rendering one, with what it includes."""

from __future__ import annotations

from typing import Any

from inapp_monitor.traces.patches import Patches
from inapp_monitor.traces.spans import TEMPLATE
from inapp_monitor.traces.timed_calls import timed, timed_coroutine

#: What a template that was made of a string is called.
STRING = "(string)"


class Hook:
    """The class of templates of the module, whichever it is."""

    def __init__(self, module: Any) -> None:
        self._template = module.Template
        self._patches = Patches()

    def attach(self) -> None:
        """Replace its methods once."""
        template = self._template
        if self._patches.has(template, "render"):
            return
        self._patches.replace(template, "render", timed(TEMPLATE, _name))
        if "render_async" in vars(template):
            self._patches.replace(template, "render_async", timed_coroutine(TEMPLATE, _name))
        if "render_unicode" in vars(template):
            self._patches.replace(template, "render_unicode", timed(TEMPLATE, _name))

    def detach(self) -> None:
        """Put them back."""
        self._patches.undo()


def _name(template: Any, /, *_args: Any, **_kwargs: Any) -> str:
    name = getattr(template, "name", None) or getattr(template, "uri", None)
    if not isinstance(name, str) or name.startswith(("<", "memory:")):
        return STRING
    return name
