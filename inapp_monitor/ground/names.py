"""Series names: what is legal, and how routes and foreign names become legal ones. Pure.

A path is nodes joined by dots, such as `requests.time`. It never becomes a file name, so that the
only reasons to refuse one are size and characters that the query language or a terminal would
trip over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

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
_ILLEGAL_IN_TAG = re.compile(r"[^\w\-:#%+@~/.]+")
_SEVERAL_DOTS = re.compile(r"\.\.+")
#: Tag sets of one name that are told apart in a process, and the value of all further ones.
MAX_TAG_SETS = 200
OTHER = "(other)"
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


def tagged_name(name: str, tags: Mapping[str, object] | Iterable[str]) -> str:
    """A series name with its tags sorted: `jobs` and `{"queue": "mail"}` are `jobs;queue=mail`.

    Args:
        tags: Values by key, or texts `key:value` as DogStatsD's clients give them. What is illegal
            in a key or a value becomes `_`.

    Raises:
        TypeError, ValueError: tags that are neither, or without a key.
    """
    if isinstance(tags, str):
        raise TypeError("tags must be a mapping or a list of key:value texts, got a string")
    pairs = tags.items() if isinstance(tags, Mapping) else (tag.partition(":")[::2] for tag in tags)
    texts = {_tag_text(key): _tag_text(value) for key, value in pairs}
    return name + "".join(f";{key}={value}" for key, value in sorted(texts.items()))


def _tag_text(value: object) -> str:
    text = _SEVERAL_DOTS.sub(".", _ILLEGAL_IN_TAG.sub("_", str(value)))[:80].strip(".").lstrip("~")
    return text or "_"


def metric_of(path: str) -> str:
    """A series name without its tags."""
    return path.partition(";")[0]


def of_other_tags(path: str) -> str:
    """The series that collects what is past the cap on tag sets of a name."""
    metric, *segments = path.split(";")
    return metric + "".join(f";{segment.partition('=')[0]}={OTHER}" for segment in segments)


def route_slug(route: str) -> str:
    """A readable node for a route: `/users/<int:id>/edit` is `users-id-edit`, `/` is `root`.

    Different routes can share a slug; the recorder tells them apart with a suffix.
    """
    plain = _REGEX_GROUP.sub(r"\1", route)
    plain = _CONVERTER.sub(r"\1", plain)
    slug = _SLUG_BREAKS.sub("-", plain).strip("-").lower()[:80].strip("-")
    return slug or ("root" if set(route) <= {"/"} else "route")
