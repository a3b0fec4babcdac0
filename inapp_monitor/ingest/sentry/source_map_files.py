"""Finds the source map of a shipped file in the folders that may hold some, and keeps a few.

A file of the address `/static/js/app.js` is looked for as `static/js/app.js.map`, `js/app.js.map`
and `app.js.map`, then by the comment `sourceMappingURL` at the end of `app.js` itself. Where the
event says which build the file is of (`debug_ids`), a map of another one is not used, and the right
one is found under any name. Nothing outside of the folders is read, whatever an event names.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from inapp_monitor.ingest.sentry.debug_ids import debug_id_in_text
from inapp_monitor.ingest.sentry.enclosing_function import enclosing_function
from inapp_monitor.ingest.sentry.frames import frames_of
from inapp_monitor.ingest.sentry.source_map import MAX_MAP, SourceMap, parse

#: Maps in memory, and bytes of all of them.
MAX_KEPT, MAX_KEPT_BYTES = 8, 64 * 2**20
#: Files looked for, for one stack.
MAX_FILES = 20
#: Seconds in which a file that was not found, or whose map was read, is not looked for again.
AGAIN_S = 10.0
#: Files that are looked into for debug ids, and seconds until that is done again.
MAX_LOOKED_INTO, LOOKED_INTO_AGAIN_S = 2_000, 60.0
LINES_AROUND = 5
_MAX_ADDRESS, _MAX_PARTS, _MAX_REMEMBERED = 500, 12, 1_000
_TAIL = 4_096
_COMMENT = re.compile(rb"//[#@]\s*sourceMappingURL=(\S{1,4000})\s*(?:\*/)?\s*$")
_INLINE = re.compile(rb"//[#@]\s*sourceMappingURL=data:application/json[^,\n]*;base64,([\w+/=]+)")
_WITH_ID = re.compile(r"\.([cm]?js|map)$")
_SHIPPED = re.compile(r"\.[cm]?jsx?$")

_NO_IDS: Mapping[str, str] = {}

_Seen = tuple[int, int]


class SourceMapFiles:
    """The maps of some folders. *Threads:* any.

    Args:
        folders: Called for the folders, first found first.
        perf: A clock that never goes back, in seconds.
        failed: Called with what a map that cannot be read says.
    """

    def __init__(
        self,
        folders: Callable[[], Sequence[Path]],
        perf: Callable[[], float],
        failed: Callable[[Exception], None],
    ) -> None:
        self._folders = folders
        self._perf = perf
        self._failed = failed
        self._lock = threading.Lock()
        self._maps: OrderedDict[Path, tuple[_Seen, SourceMap | None]] = OrderedDict()
        self._found: dict[str, tuple[float, SourceMap | None]] = {}
        self._by_id: dict[str, tuple[Path, Path]] = {}
        self._looked_into: float | None = None

    def frames_of(
        self, stacktrace: object, debug_ids: Mapping[str, str] = _NO_IDS
    ) -> tuple[list[dict[str, Any]], int]:
        """As `frames.frames_of`, with the places that people wrote where a map knows them.

        Args:
            stacktrace: As it was sent.
            debug_ids: Of the files, by address.
        """
        frames, left_out = frames_of(stacktrace)
        maps: dict[str, SourceMap | None] = {}
        caller = ""
        for frame in frames:
            address = frame["path"] or frame["file"]
            if not frame["column"] or not frame["line"]:
                caller = ""
                continue
            if address not in maps and len(maps) < MAX_FILES:
                maps[address] = self._map_of(address, debug_ids.get(address, ""))
            found = maps.get(address)
            caller = _show(frame, found, caller) if found is not None else ""
        return frames, left_out

    def forked(self) -> None:
        """In a child process: a thread of the parent may hold the lock."""
        self._lock = threading.Lock()

    def _map_of(self, address: str, debug_id: str) -> SourceMap | None:
        parts = _parts(address)
        if not parts and not debug_id:
            return None
        key, now = f"{debug_id} {'/'.join(parts)}", self._perf()
        with self._lock:
            known = self._found.get(key)
            if known is not None and now - known[0] < AGAIN_S:
                return known[1]
            try:
                found = self._look_for(parts)
                if debug_id and (found is None or found.debug_id not in ("", debug_id)):
                    found = self._of_build(debug_id, now)
            except (OSError, ValueError) as error:
                self._failed(error)
                found = None
            if len(self._found) >= _MAX_REMEMBERED:
                self._found.clear()
            self._found[key] = (now, found)
            return found

    def _look_for(self, parts: list[str]) -> SourceMap | None:
        for folder in self._folders():
            root = folder.resolve()
            for begin in range(len(parts)):
                shipped = root.joinpath(*parts[begin:])
                beside = _inside(root, shipped.with_name(f"{shipped.name}.map"))
                if beside is not None:
                    return self._read(beside)
                file = _inside(root, shipped)
                if file is not None:
                    found = self._named_in(root, file)
                    if found is not None:
                        return found
        return None

    def _of_build(self, debug_id: str, now: float) -> SourceMap | None:
        """The map that has an id, whatever its name."""
        is_due = self._looked_into is None or now - self._looked_into >= LOOKED_INTO_AGAIN_S
        if debug_id not in self._by_id and is_due:
            self._looked_into = now
            self._by_id = self._ids()
        root, path = self._by_id.get(debug_id, (None, None))
        if root is None or path is None or not path.is_file():
            return None
        found = self._read(path) if path.suffix == ".map" else self._beside_or_in(root, path)
        return found if found is not None and found.debug_id in ("", debug_id) else None

    def _ids(self) -> dict[str, tuple[Path, Path]]:
        """The folder and the file of each id."""
        found: dict[str, tuple[Path, Path]] = {}
        for folder in self._folders():
            root = folder.resolve()
            some = islice(root.rglob("*"), 10 * MAX_LOOKED_INTO)
            for path in islice((p for p in some if _WITH_ID.search(p.name)), MAX_LOOKED_INTO):
                inside = _inside(root, path)
                number = debug_id_in_text(_ends(inside)) if inside is not None else ""
                if number and inside is not None:
                    found.setdefault(number, (root, inside))
        return found

    def _beside_or_in(self, root: Path, file: Path) -> SourceMap | None:
        beside = _inside(root, file.with_name(f"{file.name}.map"))
        return self._read(beside) if beside is not None else self._named_in(root, file)

    def _named_in(self, root: Path, file: Path) -> SourceMap | None:
        """The map that a shipped file names, beside it or within it."""
        size = file.stat().st_size
        with file.open("rb") as stream:
            stream.seek(max(size - _TAIL, 0))
            comment = _COMMENT.search(stream.read(_TAIL).rstrip())
            if comment is not None and not comment[1].startswith(b"data:"):
                name = unquote(urlsplit(comment[1].decode("utf-8", "replace")).path)
                beside = _inside(root, file.parent / name.rpartition("/")[2])
                beside = _inside(root, file.parent / name.lstrip("/")) or beside
                return self._read(beside) if beside is not None else None
            if size > MAX_MAP:
                return None
            stream.seek(0)
            inline = _INLINE.search(stream.read(MAX_MAP))
        return self._keep(file, lambda: _decoded(inline[1])) if inline is not None else None

    def _read(self, path: Path) -> SourceMap | None:
        def contents() -> bytes:
            with path.open("rb") as stream:
                return stream.read(MAX_MAP + 1)

        return self._keep(path, contents)

    def _keep(self, path: Path, contents: Callable[[], bytes]) -> SourceMap | None:
        """The map of a file, read again when it has changed."""
        stat = path.stat()
        seen = (stat.st_mtime_ns, stat.st_size)
        known = self._maps.get(path)
        if known is not None and known[0] == seen:
            self._maps.move_to_end(path)
            return known[1]
        try:
            made: SourceMap | None = parse(contents())
        except ValueError as error:
            self._failed(ValueError(f"{path.name}: {error}"))
            made = None
        self._maps[path] = (seen, made)
        sizes = [each.size() if each else 0 for _, each in self._maps.values()]
        while len(self._maps) > 1 and (len(self._maps) > MAX_KEPT or sum(sizes) > MAX_KEPT_BYTES):
            self._maps.popitem(last=False)
            sizes.pop(0)
        return made


def _show(frame: dict[str, Any], found: SourceMap, caller: str) -> str:
    """Put the place that people wrote into a frame; returns the name that is called there.

    Args:
        caller: The name by which the frame's function was called, as its caller's place says.
    """
    place = found.place_of(frame["line"], frame["column"])
    if place is None:
        return ""
    text = found.content(place.source)
    name = enclosing_function(text, place.line, place.column) if text else ""
    file = found.sources[place.source]
    shown = urlsplit(frame["file"]).path.rpartition("/")[2] or frame["file"]
    frame["generated"] = f"{shown}:{frame['line']}:{frame['column']}"
    frame["function"] = name or caller or frame["function"]
    frame["file"], frame["module"] = file, ""
    frame["line"], frame["column"] = place.line, place.column
    frame["minified"] = False
    if "node_modules/" in file:
        frame["in_app"] = False
    lines = text.split("\n") if text else []
    first = max(place.line - LINES_AROUND, 1)
    shown_lines = lines[first - 1 : place.line + LINES_AROUND]
    frame["source"] = {"first": first, "lines": [line.rstrip("\r") for line in shown_lines]}
    return place.name


def _parts(address: str) -> list[str]:
    """The parts of a shipped file's path; none of what cannot be one."""
    if len(address) > _MAX_ADDRESS:
        return []
    try:
        path = unquote(urlsplit(address).path).replace("\\", "/")
    except ValueError:
        return []
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or not _SHIPPED.search(parts[-1]) or "\0" in path or ".." in parts:
        return []
    return parts[-_MAX_PARTS:]


def _inside(root: Path, path: Path) -> Path | None:
    """A regular file below a folder, None for anything else."""
    try:
        found = path.resolve()
        return found if found.is_relative_to(root) and found.is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None


def _ends(path: Path) -> bytes:
    """The begin and the end of a file: where tools write what is about it."""
    with path.open("rb") as stream:
        begin = stream.read(_TAIL)
        size = path.stat().st_size
        stream.seek(max(size - _TAIL, 0))
        return begin + b"\n" + stream.read(_TAIL)


def _decoded(data: bytes) -> bytes:
    try:
        return base64.b64decode(data)
    except binascii.Error as error:
        raise ValueError(f"the map within the file is no base64: {error}") from None
