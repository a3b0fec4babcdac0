"""One entry of the URL map below the mount. Nothing of werkzeug is imported at run time here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

#: `handler(backend, request, **url_parameters)`; a `QueryError` that it raises becomes a 400.
Handler = Callable[..., "Response"]


@dataclass(frozen=True, slots=True)
class Route:
    """One URL below the mount.

    Attributes:
        rule: werkzeug rule such as `/errors/<issue_id>`.
        handler: Called with (backend, request) and the rule's parameters as keywords.
        methods: HTTP methods; HEAD comes with GET.
        changes_state: True for actions: these need the token header or a CSRF token.
        admits_itself: True where the handler decides who may call it, by a key of its own: no token
            is asked for, and the body is read by the handler, within limits of its own.
    """

    rule: str
    handler: Handler
    methods: tuple[str, ...] = ("GET",)
    changes_state: bool = False
    admits_itself: bool = False
