"""Why an envelope is not accepted: a status that SDKs understand, and a sentence for people."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818  # a verdict about what was sent, not a failure of ours
    """What was sent cannot be accepted, and nothing of it is recorded.

    Args:
        status: HTTP status: 400 malformed, 401 or 403 key, 413 too large, 415 encoding, 429 rate.
        message: What is wrong and what was expected; it names the input.
        retry_after_s: For 429: when to try again.
    """

    def __init__(self, status: int, message: str, retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s
