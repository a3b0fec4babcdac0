"""JSON from outside: depth, number of values and size are bounded before it is parsed. Pure."""

from __future__ import annotations

import json
import re

from inapp_monitor.ingest.sentry.refusal import Refusal

#: Values of one document: what it takes in memory is a multiple of its bytes.
MAX_VALUES = 200_000
_SEPARATORS = (b",", b"[", b"{")
#: An escape of JSON; the group: half of a pair, as a text that was cut in the middle has.
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_object(data: bytes, what: str) -> dict[str, object]:
    """The JSON object that some bytes are.

    Args:
        data: UTF-8; bytes that are none become replacement characters, as do halves of pairs of
            UTF-16, which no file and no database holds.
        what: How the sender would call it, for the message.

    Raises:
        Refusal: 400 no JSON object, 413 too many or too deeply nested values.
    """
    if sum(map(data.count, _SEPARATORS)) > MAX_VALUES:
        raise Refusal(413, f"the {what} has too many values, at most {MAX_VALUES} are read")
    text = data.decode("utf-8-sig", "replace")
    if _HALF.search(data):
        text = _ESCAPE.sub(_whole, text)
    try:
        found = json.loads(text, parse_constant=_nothing)
    except RecursionError:
        raise Refusal(413, f"the {what} is nested too deeply") from None
    except ValueError as error:
        raise Refusal(400, f"the {what} is no JSON: {str(error)[:200]}") from None
    if not isinstance(found, dict):
        raise Refusal(400, f"the {what} must be a JSON object")
    return found


def _whole(escape: re.Match[str]) -> str:
    return r"\ufffd" if escape[1] else escape[0]


def _nothing(_: str) -> None:
    """NaN and Infinity are no JSON; some senders write them."""
