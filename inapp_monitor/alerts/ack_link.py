"""A link that acknowledges one problem without a login: signed, and good for that problem only.

It holds rule, series and the begin of the problem, is good for three days, and does nothing more
once the problem is acknowledged or over. Mail programs visit links by themselves: what the link
opens is a page with a button.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from pathlib import Path
from typing import NamedTuple

from inapp_monitor.ground import private_files

KEY_NAME = "alert-key"
VALID_S = 3 * 86_400.0
_MAC_LENGTH = 32
_LONGEST = 2_000


class Problem(NamedTuple):
    """What a link is about.

    Attributes:
        rule, series: Whose state.
        since: When the problem began, in whole seconds.
        expires: Until when the link is good.
    """

    rule: str
    series: str
    since: int
    expires: int


def key_of(data_dir: Path) -> bytes:
    """The key of a data directory; made when there is none.

    Raises:
        OSError: it can neither be read nor made.
    """
    path = data_dir / KEY_NAME
    try:
        found = private_files.read_secret(path, 200).strip()
    except FileNotFoundError:
        private_files.create_once(path, secrets.token_urlsafe(32).encode() + b"\n")
        found = private_files.read_secret(path, 200).strip()
    if len(found) < _MAC_LENGTH:
        raise OSError(f"{path} is too short; delete it for a new one")
    return found


def sign(key: bytes, problem: Problem) -> str:
    """The text that a link carries: letters, digits, `-`, `_` and a dot."""
    body = _encode(json.dumps(problem).encode())
    return f"{body}.{_encode(_mac(key, body))}"


def read(key: bytes, text: str, now: float) -> Problem | None:
    """The problem of a link; None when it was not made here, was changed or has expired."""
    body, _, mac = text.partition(".")
    if len(text) > _LONGEST or not text.isascii():
        return None
    if not hmac.compare_digest(mac.encode(), _encode(_mac(key, body)).encode()):
        return None
    try:
        rule, series, since, expires = json.loads(
            base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        )
        problem = Problem(str(rule), str(series), int(since), int(expires))
    except (ValueError, TypeError):
        return None
    return problem if now < problem.expires else None


def _mac(key: bytes, body: str) -> bytes:
    return hmac.new(key, b"acknowledge " + body.encode(), hashlib.sha256).digest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
