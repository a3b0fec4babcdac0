"""What a setting may be given as, text or a Python value, and what becomes of it.

A parser is a function of one value. Its docstring says in the reference page what the setting
takes; a ValueError's text completes the sentence "the setting must be ...". No I/O but the names of
time zones; nothing here knows which settings there are.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

#: Stands for the machine's own time zone.
LOCAL_ZONE = "local"
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?b?)\s*", re.IGNORECASE | re.ASCII)
_SIZE_FACTORS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)?\s*", re.ASCII)
_DURATION_FACTORS = {"ms": 0.001, None: 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


def parse_size(value: object) -> int:
    """Bytes from a number or from text such as `256MB` (powers of 1,024)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a size such as 256MB")
    return int(float(match[1]) * _SIZE_FACTORS[match[2][:1].lower().replace("b", "")])


def parse_duration(value: object) -> float:
    """Seconds from a number or from text such as `500ms`, `10s`, `5m`, `2h`, `1d`."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("a duration such as 500ms, 10s or 2h")
    return float(match[1]) * _DURATION_FACTORS[match[2]]


def parse_bool(value: object) -> bool:
    """True or false, also from the usual words."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError("true or false")


#: What `log_level` may be, and from which level of `logging` on records are kept.
LOG_LEVELS = {"INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50, "OFF": 1_000}


def parse_log_level(value: object) -> str:
    """`INFO`, `WARNING`, `ERROR`, `CRITICAL`, or `OFF` for none."""
    word = str(value).strip().upper()
    if word not in LOG_LEVELS:
        raise ValueError("INFO, WARNING, ERROR, CRITICAL or OFF")
    return word


def parse_switch(value: object) -> str:
    """`auto`, `on` or `off`."""
    word = str(value).strip().lower()
    if word in ("auto", "on", "off"):
        return word
    if word in _TRUE | _FALSE:
        return "on" if word in _TRUE else "off"
    raise ValueError("auto, on or off")


def parse_int(value: object) -> int:
    """A whole number."""
    try:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise ValueError
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError):
        raise ValueError("a whole number") from None


def parse_text(value: object) -> str:
    """A string."""
    if not isinstance(value, str):
        raise ValueError("a string")
    return value


def parse_token(value: object) -> str:
    """A secret of 8 to 512 printable characters; an empty one counts as not given."""
    text = value if isinstance(value, str) else None
    if text is None or (text and not (8 <= len(text) <= 512 and text.isprintable())):
        raise ValueError("a string of 8 to 512 printable characters")
    if text != text.strip():
        raise ValueError("without spaces at its ends")
    return text


def parse_path(value: object) -> Path:
    """A file system path; `~` is the home directory."""
    if not isinstance(value, (str, os.PathLike)) or not str(value) or "\0" in str(value):
        raise ValueError("a path")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:  # no HOME, and a user without an entry in passwd
        raise ValueError(f"a path without ~: {error}") from None


def parse_texts(value: object) -> tuple[str, ...]:
    """Strings, from a list or from text with commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
        return tuple(value)
    raise ValueError("a list of strings")


def parse_mount(value: object) -> str:
    """A URL path that starts with a slash and does not end with one."""
    if not isinstance(value, str) or not re.fullmatch(r"(/[\w.~-]+)+", value, re.ASCII):
        raise ValueError("a path such as /_metrics")
    return value


def parse_url(value: object) -> str:
    """An http or https address without a query; empty: none."""
    form = r"(https?://[A-Za-z0-9.\-:\[\]]{1,255}(/[\w.~%-]*)*)?"
    if not isinstance(value, str) or not re.fullmatch(form, value, re.ASCII):
        raise ValueError("an address such as https://example.org/_metrics")
    return value


def parse_zone(value: object) -> str:
    """A zone of IANA such as Europe/Berlin, UTC or `local`."""
    if not isinstance(value, str) or not value:
        raise ValueError("a zone such as Europe/Berlin, UTC or local")
    if value not in (LOCAL_ZONE, "UTC"):
        import difflib  # as zoneinfo: rarely needed, and not cheap to load
        from zoneinfo import ZoneInfo, available_timezones

        try:
            ZoneInfo(value)
        except (OSError, ValueError, KeyError):
            known = available_timezones()  # none: no tzdata here, and UTC will have to do
            if known:
                near = difflib.get_close_matches(value, known, 1, 0.5)
                also = f" (did you mean {near[0]}?)" if near else ""
                raise ValueError(f"a zone such as Europe/Berlin, UTC or local{also}") from None
    return value
