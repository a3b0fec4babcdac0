"""Series names: what is legal, and how routes and foreign names become legal ones. Pure.

A path is nodes joined by dots, such as `requests.time`. It never becomes a file name, so that the
only reasons to refuse one are size and characters that the query language or a terminal would
trip over.
"""

from __future__ import annotations

import re

from inapp_monitor.ground.exceptions import SeriesNameError

#: First nodes of the series that the kit records itself: of no call, and of no collector but its
#: own.
RESERVED_NODES = frozenset(("requests", "routes", "errors", "process", "host", "monitor"))
#: Those of them whose series are totals: few, and what the overview is made of.
TOTALS_NODES = ("requests", "monitor")
#: Longest path, in characters.
MAX_PATH_LENGTH = 200
_PATH = re.compile(r"[\w\-:#%+@~=;/]+(?:\.[\w\-:#%+@~=;/]+)*")
_ILLEGAL = re.compile(r"[^A-Za-z0-9_\-:#%+@~=]+")
#: `(?P<year>[0-9]{4})`: a named group of a regular expression used as a route.
_REGEX_GROUP = re.compile(r"\(\?P<(\w{1,80})>[^()]{0,200}\)")
#: `<int:id>`, `<id>`: a placeholder, with or without its converter.
_CONVERTER = re.compile(r"<(?:[^<>:]{0,200}:)?([^<>]{0,200})>")
_SLUG_BREAKS = re.compile(r"[^A-Za-z0-9_]+")


def check_path(path: object) -> str:
    """Return `path` when it is a legal series name.

    Raises:
        SeriesNameError: not a string, empty, too long, an empty or `..` node, white space, control
            characters, or a character with a meaning in the query language.
    """
    if not isinstance(path, str):
        raise SeriesNameError(f"series name must be a string, got {type(path).__name__}")
    if not path:
        raise SeriesNameError("series name is empty")
    if len(path) > MAX_PATH_LENGTH:
        raise SeriesNameError(
            f"series name has {len(path)} characters, at most {MAX_PATH_LENGTH} are allowed: "
            f"{path[:40]!r}..."
        )
    if _PATH.fullmatch(path) is None:
        raise SeriesNameError(
            f"series name {path!r} must be nodes of letters, digits and _-:#%+@~=;/ joined by dots"
        )
    return path


def refuse_reserved(path: str) -> None:
    """Let pass a name that a user or a package may give to a series.

    Raises:
        ValueError: its first node is reserved.
    """
    first = path.partition(".")[0]
    if first in RESERVED_NODES:
        raise ValueError(f"{path!r}: names that begin with {first} are reserved")


def clean_node(text: str) -> str:
    """One legal node made of any text; `_` stands for each run of illegal characters."""
    return _ILLEGAL.sub("_", text)[:80].strip("_") or "_"


def route_slug(route: str) -> str:
    """A readable node for a route: `/users/<int:id>/edit` is `users-id-edit`, `/` is `root`.

    Different routes can share a slug; the recorder tells them apart with a suffix.
    """
    plain = _REGEX_GROUP.sub(r"\1", route)
    plain = _CONVERTER.sub(r"\1", plain)
    slug = _SLUG_BREAKS.sub("-", plain).strip("-").lower()[:80].strip("-")
    return slug or ("root" if set(route) <= {"/"} else "route")
