"""Source maps, version 3: from a place in a shipped file to the place that people wrote. Pure.

Mappings are base64 digits of variable length; they are decoded once into flat arrays and looked up
by bisection. Maps of maps (`sections`) are read as well.

Source: ECMA-426.
"""

from __future__ import annotations

import json
import posixpath
import re
from array import array
from bisect import bisect_right
from typing import NamedTuple

from inapp_monitor.ingest.sentry.debug_ids import debug_id_in_map

#: Bytes of a map, segments of its mappings, and lines of what was shipped.
MAX_MAP, MAX_SEGMENTS, MAX_LINES = 32 * 2**20, 2_000_000, 1_000_000
MAX_SOURCES, MAX_SECTIONS = 20_000, 200
_DIGITS = {
    digit: value
    for value, digit in enumerate(
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    )
}
_TABLE = bytes(_DIGITS.get(byte, 255) for byte in range(256))
_SEMICOLON, _COMMA = ord(";"), ord(",")
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://[^/]*/?", re.IGNORECASE)


class Place(NamedTuple):
    """A place in the source that people wrote.

    Attributes:
        source: Number of the file in the map.
        line, column: From 1.
        name: Of the identifier there, "" without one.
    """

    source: int
    line: int
    column: int
    name: str


class SourceMap:
    """One map, decoded.

    Attributes:
        sources: Names of the files, as people would call them.
        debug_id: See `debug_ids`; "" without one.
    """

    def __init__(self) -> None:
        self.debug_id = ""
        self.sources: list[str] = []
        self._contents: list[str | None] = []
        self._names: list[str] = []
        self._lines: list[int] = [0]  # where each generated line begins among the segments
        self._columns = array("i")
        self._places = array("i")  # source, line, column, name of each segment

    def place_of(self, line: int, column: int) -> Place | None:
        """The place of a line and column of the shipped file, both from 1; None when unmapped."""
        if not 1 <= line < len(self._lines):
            return None
        begin, end = self._lines[line - 1], self._lines[line]
        found = bisect_right(self._columns, column - 1, begin, end) - 1
        if found < begin:
            return None
        source, source_line, source_column, name = self._places[4 * found : 4 * found + 4]
        if not 0 <= source < len(self.sources) or source_line < 0:
            return None
        known = self._names[name] if 0 <= name < len(self._names) else ""
        return Place(source, source_line + 1, source_column + 1, known)

    def content(self, source: int) -> str | None:
        """The text of a file, where the map has it."""
        return self._contents[source] if source < len(self._contents) else None

    def size(self) -> int:
        """Bytes of memory, about."""
        texts = sum(len(text or "") for text in self._contents)
        return texts + 4 * (len(self._columns) + len(self._places)) + 100 * len(self._names)

    def add(self, document: dict[str, object], line_offset: int, column_offset: int) -> None:
        """Add a map, or a section of one that begins at a line and column, both from 0.

        Raises:
            ValueError: it cannot be read.
        """
        sources, names = _texts(document, "sources"), _texts(document, "names")
        root = document.get("sourceRoot")
        contents = document.get("sourcesContent")
        contents = contents if isinstance(contents, list) else []
        first_source, first_name = len(self.sources), len(self._names)
        for number, source in enumerate(sources):
            self.sources.append(clean_source(source, root if isinstance(root, str) else ""))
            text = contents[number] if number < len(contents) else None
            self._contents.append(text if isinstance(text, str) else None)
        self._names += names
        mappings = document.get("mappings")
        if not isinstance(mappings, str):
            raise ValueError("a source map without mappings")
        if line_offset > MAX_LINES:
            raise ValueError(f"a source map has more than {MAX_LINES} lines")
        while len(self._lines) < line_offset + 1:
            self._lines.append(len(self._columns))
        self._decode(mappings.encode("ascii", "replace"), column_offset, first_source, first_name)

    def _decode(self, data: bytes, offset: int, first_source: int, first_name: int) -> None:
        """Decode mappings, behind what is there."""
        columns, places, lines = self._columns, self._places, self._lines
        digits = data.translate(_TABLE)
        column = offset
        source, line, source_column, name = first_source, 0, 0, first_name
        fields = [0, 0, 0, 0, 0]
        filled = value = shift = 0
        for byte, digit in zip(data + b";", digits + b"\xff", strict=True):
            if digit != 255:
                value |= (digit & 31) << shift
                if digit & 32:
                    shift += 5
                    if shift > 30:
                        raise ValueError("a number of a source map is too long")
                    continue
                if filled < 5:
                    fields[filled] = -(value >> 1) if value & 1 else value >> 1
                    filled += 1
                value = shift = 0
                continue
            if byte not in (_SEMICOLON, _COMMA):
                raise ValueError("a source map's mappings have another character than base64's")
            if filled:
                column += fields[0]
                columns.append(column)
                if filled >= 4:
                    source += fields[1]
                    line += fields[2]
                    source_column += fields[3]
                    if filled == 5:
                        name += fields[4]
                    places.extend((source, line, source_column, name if filled == 5 else -1))
                else:
                    places.extend((-1, -1, -1, -1))
                if len(columns) > MAX_SEGMENTS:
                    raise ValueError(f"a source map has more than {MAX_SEGMENTS} segments")
                filled = value = shift = 0
            if byte == _SEMICOLON:
                lines.append(len(columns))
                column = 0
                if len(lines) > MAX_LINES:
                    raise ValueError(f"a source map has more than {MAX_LINES} lines")


def parse(data: bytes) -> SourceMap:
    """The map in a file.

    Raises:
        ValueError: it is none, or too large.
    """
    if len(data) > MAX_MAP:
        raise ValueError(f"a source map has more than {MAX_MAP} bytes")
    if data[:3] == b")]}":  # keeps browsers from running it
        data = data.partition(b"\n")[2]
    try:
        document = json.loads(data)
    except RecursionError as error:
        raise ValueError("a source map is nested too deeply") from error
    if not isinstance(document, dict) or document.get("version") != 3:
        raise ValueError("no source map of version 3")
    made = SourceMap()
    made.debug_id = debug_id_in_map(document)
    sections = document.get("sections")
    try:
        if not isinstance(sections, list):
            made.add(document, 0, 0)
            return made
        for section in sections[:MAX_SECTIONS]:
            offset = section["offset"]
            made.add(section["map"], int(offset["line"]), int(offset["column"]))
    except (KeyError, TypeError, OverflowError, AttributeError) as error:
        raise ValueError(f"a source map that cannot be read: {error}") from error
    return made


def clean_source(source: str, root: str = "") -> str:
    """A file's name as people would call it: `webpack:///./src/cart.js?1a2b` is `src/cart.js`."""
    if root and not _SCHEME.match(source):
        source = f"{root.rstrip('/')}/{source}"
    path = _SCHEME.sub("", source).partition("?")[0]
    path = posixpath.normpath(path.lstrip("/")) if path else ""
    while path.startswith("../"):
        path = path[3:]
    return path[:300]


def _texts(document: dict[str, object], name: str) -> list[str]:
    found = document.get(name, [])
    if not isinstance(found, list) or len(found) > 20 * MAX_SOURCES:
        raise ValueError(f"a source map's {name} must be a list of texts")
    return [each if isinstance(each, str) else "" for each in found]
