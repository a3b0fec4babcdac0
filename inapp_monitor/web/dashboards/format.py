"""Dashboards as text: our TOML and JSON, and Graphite's dashboard JSON, in and out. Pure.

A document is `{"title": ..., "panels": [{"title": ..., "targets": [...], "shape": ...}]}`; the text
of one may carry its `name` too. What is wrong with a text is reported by line and key.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.ground.visible_text import acts
from inapp_monitor.query.grammar import parse

MAX_PANELS = 40
MAX_TARGETS = 10
SHAPES = ("line", "area", "stacked", "bar")
NAME = re.compile(r"[A-Za-z0-9_-]{1,60}", re.ASCII)
_MAX_TEXT = 4_096
_MAX_DOTS = 4_096
_KEYS = ("name", "title", "panels")
_PANEL_KEYS = ("title", "targets", "shape")
#: What a page's JSON holds beside the document; it can be given back as it is.
_DERIVED = frozenset(("file", "chart", "problem"))
_TOML_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_TOML_PANEL = re.compile(r"\s*\[\[\s*panels\s*\]\]")
_NO_TOML = "this is no TOML (JSON would begin with {)"
#: Graphite's names of a graph's areas.
_AREA_MODES = {"stacked": "stacked", "all": "area"}

Document = dict[str, Any]
#: Where in a document: keys and positions.
_Path = tuple[str | int, ...]


class FormatError(QueryError):
    """A document that is none; `path` is where."""

    def __init__(self, problem: str, *path: str | int) -> None:
        super().__init__(f"{_shown(path) or 'a dashboard'} {problem}")
        self.path: _Path = path


class Text(NamedTuple):
    """What was read: the document, and its own name or ""."""

    name: str
    document: Document


def read(text: str) -> Text:
    """A dashboard from TOML or JSON, in the own format or Graphite's.

    Raises:
        QueryError: it is neither; names the line, and what is expected there.
    """
    is_json = text.lstrip("\ufeff \t\r\n").startswith("{")
    given = _load_json(text) if is_json else _load_toml(text)
    try:
        document = checked(given)
        _check_targets(document)
    except FormatError as error:
        line = (_json_line if is_json else _toml_line)(text, error.path)
        raise QueryError(f"line {line}: {error}") from None
    name = given.get("name", given.get("state", given).get("name"))
    return Text(name if isinstance(name, str) and NAME.fullmatch(name) else "", document)


def checked(given: Any) -> Document:
    """A document in the own format, from that or from Graphite's dashboard JSON.

    Raises:
        FormatError: it is neither; names the part.
    """
    if not isinstance(given, dict):
        raise FormatError("must be a table with a title and panels")
    if isinstance(given.get("state"), dict):  # as Graphite's /dashboard/load
        given = given["state"]
    if "panels" not in given and "graphs" in given:
        graphs = _list(given["graphs"], MAX_PANELS, "graphs")
        made = [_from_graphite(entry, number) for number, entry in enumerate(graphs)]
        title = given.get("title") or given.get("name") or ""
        return {"title": _text(title, "title"), "panels": made}
    _check_keys(given, _KEYS)
    panels = _list(given.get("panels"), MAX_PANELS, "panels")
    made = [_panel(entry, "panels", number) for number, entry in enumerate(panels)]
    return {"title": _text(given.get("title") or "", "title"), "panels": made}


def write_toml(name: str, document: Document) -> str:
    """As TOML, which `read` reads."""
    lines = [f"name = {_quoted(name)}", f"title = {_quoted(document['title'])}"]
    if not document["panels"]:
        lines.append("panels = []")
    for panel in document["panels"]:
        lines += ["", "[[panels]]"]
        if panel["title"]:
            lines.append(f"title = {_quoted(panel['title'])}")
        if len(panel["targets"]) == 1:
            lines.append(f"targets = [{_quoted(panel['targets'][0])}]")
        else:
            lines += ["targets = [", *(f"  {_quoted(text)}," for text in panel["targets"]), "]"]
        if panel["shape"] != "line":
            lines.append(f"shape = {_quoted(panel['shape'])}")
    return "\n".join(lines) + "\n"


def write_json(name: str, document: Document) -> str:
    """As JSON, which `read` reads."""
    return json.dumps({"name": name, **document}, indent=2) + "\n"


def write_graphite(name: str, document: Document) -> str:
    """As the state that Graphite's dashboards are saved and loaded by; bars become lines."""
    graphs = []
    modes = {shape: mode for mode, shape in _AREA_MODES.items()}
    for panel in document["panels"]:
        parameters: dict[str, Any] = {"target": panel["targets"]}
        if panel["title"]:
            parameters["title"] = panel["title"]
        if panel["shape"] in modes:
            parameters["areaMode"] = modes[panel["shape"]]
        query = [(key, _plain(text)) for key, each in parameters.items() for text in _several(each)]
        targets = urlencode([("target", _plain(text)) for text in panel["targets"]])
        graphs.append([targets, parameters, f"/render?{urlencode(query)}"])
    state = {
        "name": name,
        "title": document["title"],
        "defaultGraphParams": {"width": "400", "height": "250", "from": "-2hours", "until": "now"},
        "refreshConfig": {"interval": 60_000, "enabled": False},
        "timeConfig": {
            "type": "relative", "relativeStartQuantity": "2", "relativeStartUnits": "hours",
            "relativeUntilQuantity": "", "relativeUntilUnits": "now",
        },
        "graphSize": {"width": 400, "height": 250},
        "graphs": graphs,
    }  # fmt: skip
    return json.dumps(state, indent=2) + "\n"


#: By the ending of a file: how it is written.
WRITERS: dict[str, Callable[[str, Document], str]] = {
    "toml": write_toml,
    "json": write_json,
    "graphite.json": write_graphite,
}


# -- what may be in a document


def _from_graphite(entry: Any, number: int) -> Document:
    """Graphite keeps a graph as [targets, {parameters}, url] or {"target": [...], ...}."""
    if isinstance(entry, list):
        entry = next((part for part in entry if isinstance(part, dict)), {})
    if not isinstance(entry, dict):
        raise FormatError("must be an object or Graphite's triple", "graphs", number)
    target = entry.get("target")
    made = {
        "title": entry.get("title") or "",
        "targets": [target] if isinstance(target, str) else target,
        "shape": _AREA_MODES.get(str(entry.get("areaMode")), "line"),
    }
    return _panel(made, "graphs", number)


def _panel(given: Any, *path: str | int) -> Document:
    if not isinstance(given, dict):
        raise FormatError("must be a table with targets", *path)
    _check_keys(given, _PANEL_KEYS, *path)
    found = _list(given.get("targets"), MAX_TARGETS, *path, "targets")
    targets = [_text(text, *path, "targets", i) for i, text in enumerate(found)]
    if not targets:
        raise FormatError("needs at least one target", *path, "targets")
    shape = given.get("shape", "line")
    if shape not in SHAPES:
        known = ", ".join(SHAPES)
        raise FormatError(f"must be one of {known}, got {str(shape)[:40]!r}", *path, "shape")
    title = _text(given.get("title") or "", *path, "title")
    return {"title": title, "targets": targets, "shape": shape}


def _check_keys(given: dict[str, Any], known: tuple[str, ...], *path: str | int) -> None:
    for key in given:
        if key not in known and key not in _DERIVED:
            error = FormatError(f"has no {key[:40]!r}, only {', '.join(known)}", *path)
            error.path = (*path, key)
            raise error


def _check_targets(document: Document) -> None:
    for number, panel in enumerate(document["panels"]):
        for position, target in enumerate(panel["targets"]):
            try:
                parse(target)
            except QueryError as error:
                raise FormatError(f"{error}", "panels", number, "targets", position) from None


def _list(given: Any, most: int, *path: str | int) -> list[Any]:
    if not isinstance(given, list) or len(given) > most:
        raise FormatError(f"must be a list of at most {most} entries", *path)
    return given


def _text(given: Any, *path: str | int) -> str:
    if not isinstance(given, str) or len(given) > _MAX_TEXT:
        raise FormatError(f"must be text of at most {_MAX_TEXT} characters", *path)
    return _plain(given)


def _plain(text: str) -> str:
    """Without halves of characters, which neither TOML nor UTF-8 can encode."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _several(value: Any) -> list[str]:
    return value if isinstance(value, list) else [str(value)]


def _shown(path: _Path) -> str:
    """`panel 1, shape`: people count from 1."""
    parts: list[str] = []
    for part in path:
        if isinstance(part, int):
            parts[-1] = f"{parts[-1].removesuffix('s')} {part + 1}"
        else:
            parts.append(part)
    return ", ".join(parts)


def _quoted(text: str) -> str:
    """A basic string of TOML."""
    escaped = "".join(
        f"\\{character}" if character in '"\\' else
        f"\\u{ord(character):04X}" if acts(character) and ord(character) < 0x10000 else
        f"\\U{ord(character):08X}" if acts(character) else
        character
        for character in _plain(text)
    )  # fmt: skip
    return f'"{escaped}"'


# -- texts, and where in them something stands


def _load_json(text: str) -> Any:
    try:
        return json.loads(text.lstrip("\ufeff"))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise QueryError(f"{where}: this is no JSON: {error.msg}") from None
    except (ValueError, RecursionError):
        raise QueryError("line 1: no JSON that can be read") from None


def _load_toml(text: str) -> Any:
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > _MAX_DOTS:  # the parser takes the square of a key's length
            raise QueryError(f"line {number}: more than {_MAX_DOTS} dots")
    try:
        return tomllib.loads(text.lstrip("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        match = _TOML_PLACE.fullmatch(str(error))
        if match is None or match[2] is None:
            problem = match[1] if match else str(error)
            raise QueryError(f"line {text.count(chr(10)) + 1}: {_NO_TOML}: {problem}") from None
        where = f"line {match[2]}, column {match[3]}"
        raise QueryError(f"{where}: {_NO_TOML}: {match[1]}") from None
    except (ValueError, RecursionError):
        raise QueryError(f"line 1: {_NO_TOML} that can be read") from None


def _json_line(text: str, path: _Path) -> int:
    """The line of the innermost part of a path that is there."""
    places: dict[_Path, int] = {}
    for place, at in _json_places(text):
        places.setdefault(place, at)
        if place == path:  # the usual case, in a text that may have much more
            break
    while path and path not in places:
        # A document in "state" is meant without naming it.
        inner = ("state", *path)
        if inner in places:
            return text.count("\n", 0, places[inner]) + 1
        path = path[:-1]
    return text.count("\n", 0, places.get(path, 0)) + 1


def _json_places(text: str) -> Iterator[tuple[_Path, int]]:
    """Where each key and entry of a sound JSON text begins."""
    kinds: list[str] = []
    path: list[Any] = []
    for match in _JSON_TOKEN.finditer(text):
        part = match[0]
        if part in ("}", "]"):
            kinds.pop()
            path.pop()
        elif part == ",":
            path[-1] = path[-1] + 1 if kinds[-1] == "[" else None
        elif part != ":":
            if kinds and kinds[-1] == "{" and path[-1] is None:
                path[-1] = json.loads(part)
            yield tuple(path), match.start()
            if part in ("{", "["):
                kinds.append(part)
                path.append(0 if part == "[" else None)


def _toml_line(text: str, path: _Path) -> int:
    """The line of a key of a panel, else the panel's, else the key's, else the first."""
    lines = text.splitlines()
    panels = [number for number, line in enumerate(lines) if _TOML_PANEL.match(line)]
    first, last = 0, panels[0] if panels else len(lines)
    if len(path) > 1 and isinstance(path[1], int) and path[1] < len(panels):
        first = panels[path[1]]
        last = panels[path[1] + 1] if path[1] + 1 < len(panels) else len(lines)
    for key in reversed([part for part in path if isinstance(part, str)]):
        wanted = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=""")
        for number in range(first, last):
            if wanted.match(lines[number]):
                return number + 1
    return first + 1
