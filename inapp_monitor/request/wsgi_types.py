"""Types of PEP 3333, as the request path uses them. Nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Environ = dict[str, Any]
#: What the server expects of it, and what an application hands it, is passed on untouched.
StartResponse = Callable[..., Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[bytes]]
