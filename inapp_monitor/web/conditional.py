"""Answers that a client need not be sent twice: tagged by their bytes, for this client alone."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

#: Kept by an authorized browser, and asked for again each time: 304 or the new bytes.
CACHE_CONTROL = "private, no-cache"


def etag_of(body: bytes) -> str:
    """A digest of a body, the same in every worker."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def private(response: Response) -> Response:
    """The response for this client alone; shared caches keep out."""
    response.headers.setdefault("Cache-Control", CACHE_CONTROL)
    response.vary.update(("Accept", "Authorization", "Cookie"))
    return response


def conditional(response: Response, request: Request, etag: str) -> Response:
    """The response with its tag, or 304 when the client has just that; shared caches keep out.

    Access is decided before any answer is made: a tag opens nothing.
    """
    response.set_etag(etag)
    return private(response).make_conditional(request)
