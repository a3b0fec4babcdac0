"""Why an envelope is not accepted: a status that SDKs understand, and a sentence for people."""

from __future__ import annotations

from typing import Final

#: Under which a refusal is counted, by its status, where nothing else is said.
_REASONS: Final = {
    400: "malformed",
    401: "no key",
    408: "too slow",
    413: "too large",
    415: "encoding",
    429: "too many at once",
}


class Refusal(Exception):  # noqa: N818  # a verdict about what was sent, not a failure here
    """What was sent cannot be accepted, and nothing of it is recorded.

    Args:
        status: HTTP status: 400 malformed, 401 or 403 key, 413 too large, 415 encoding, 429 rate.
        message: What is wrong and what was expected; it names the input.
        retry_after_s: For 429: when to try again.
        reason: Under which it is counted; "" for what its status means.
        project: The one whose key was shown, as far as it is known.
    """

    def __init__(
        self,
        status: int,
        message: str,
        retry_after_s: int = 0,
        *,
        reason: str = "",
        project: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s
        self.reason = reason or _REASONS.get(status, "other")
        self.project = project
