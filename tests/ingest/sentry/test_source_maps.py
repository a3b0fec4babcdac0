"""Places in shipped JavaScript, and the places that people wrote."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor.ingest.sentry.debug_ids import debug_ids_of
from inapp_monitor.ingest.sentry.enclosing_function import enclosing_function
from inapp_monitor.ingest.sentry.source_map import clean_source, parse
from inapp_monitor.ingest.sentry.source_map_files import SourceMapFiles
from tests.each import each

from .captures import KEY
from .conftest import NOW, Installation, event_body

MAPS = Path(__file__).parents[2] / "data" / "source_maps"
SHIPPED = "shop.5e2b91aa.js"
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
Segment = tuple[int, int, int, int]


def encoded(lines: Sequence[Sequence[Segment]]) -> str:
    """Mappings of (column, source, line, column) segments by generated line, all from 0."""
    previous = [0, 0, 0]
    out = []
    for segments in lines:
        column = 0
        texts = []
        for at, *place in segments:
            deltas = [at - column, *(now - then for now, then in zip(place, previous, strict=True))]
            column, previous = at, list(place)
            texts.append("".join(map(_digits, deltas)))
        out.append(",".join(texts))
    return ";".join(out)


def _digits(value: int) -> str:
    rest = abs(value) << 1 | (value < 0)
    text = ""
    while True:
        digit, rest = rest & 31, rest >> 5
        text += _DIGITS[digit | (32 if rest else 0)]
        if not rest:
            return text


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.integers(0, 5_000), st.integers(0, 3), st.integers(0, 900), st.integers(0, 300)
            ),
            max_size=8,
            unique_by=lambda segment: segment[0],
        ).map(sorted),
        min_size=1,
        max_size=5,
    )
)
def test_each_place_is_found_where_it_was_put(lines: list[list[Segment]]) -> None:
    """At its column and behind it, up to the next one."""
    document = {"version": 3, "sources": list("abcd"), "names": [], "mappings": encoded(lines)}
    found = parse(json.dumps(document).encode())
    for number, segments in enumerate(lines, 1):
        ends = [*(segment[0] for segment in segments[1:]), 10_000]
        for place, last in zip(segments, ends[: len(segments)], strict=True):
            column, *expected = place
            for at in (column + 1, last):
                got = found.place_of(number, at)
                assert got is not None
                assert [got.source, got.line - 1, got.column - 1] == expected
    assert found.place_of(len(lines) + 1, 1) is None
    assert found.place_of(0, 1) is None


@each(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"version":2,"mappings":""}',
        b'{"version":3}',
        b'{"version":3,"sources":[],"names":[],"mappings":"\xc3\xa4"}',
        b'{"version":3,"sources":[],"names":[],"mappings":"gggggggggggg"}',
        b'{"version":3,"sources":1,"names":[],"mappings":"AAAA"}',
        b'{"version":3,"sections":[{"offset":{}}]}',
        b"[" * 100_000,
        b'{"version":3,"sources":[],"names":[],"mappings":"' + b";" * 1_000_001 + b'"}',
        b'{"version":3,"sections":[{"offset":{"line":1000001,"column":0},"map":{"mappings":""}}]}',
    ],
    ids=lambda data: data[:40].decode("latin-1"),
)
def test_what_is_no_map_says_so(data: bytes) -> None:
    """A ValueError, whatever it is."""
    with pytest.raises(ValueError, match=r"."):
        parse(data)


def test_places_outside_of_the_sources_are_none() -> None:
    """Numbers that lead nowhere name no file."""
    document = {"version": 3, "sources": ["a.js"], "names": [], "mappings": "AZAA,CDAA,IUAA"}
    found = parse(json.dumps(document).encode())
    assert [found.place_of(1, column) for column in (1, 2, 3, 6, 99)] == [None] * 5


def test_maps_of_maps_are_read() -> None:
    """Sections begin at their lines."""
    inner = {"version": 3, "names": [], "mappings": "AAAA"}
    sections = [
        {"offset": {"line": at, "column": 0}, "map": {**inner, "sources": [name]}}
        for at, name in ((0, "a.js"), (5, "b.js"))
    ]
    found = parse(json.dumps({"version": 3, "sections": sections}).encode())
    first, second = found.place_of(1, 1), found.place_of(6, 1)
    assert first is not None
    assert second is not None
    assert (found.sources[first.source], found.sources[second.source]) == ("a.js", "b.js")


@each(
    ("source", "name"),
    [
        ("webpack:///./src/cart.js?1a2b", "src/cart.js"),
        ("../../src/cart.ts", "src/cart.ts"),
        ("webpack://shop/src/a.vue", "src/a.vue"),
        ("/abs/x.js", "abs/x.js"),
        ("", ""),
    ],
)
def test_sources_are_called_as_people_call_them(source: str, name: str) -> None:
    """Without the bundler's scheme and the way up."""
    assert clean_source(source) == name


@each(
    ("source", "function"),
    [
        ("function pay(cart) {\n  return HERE", "pay"),
        ("async function pay({a, b}) {\n  if (a) { for (;;) { HERE", "pay"),
        ("const pay = (cart) => {\n HERE", "pay"),
        ("const pay = cart => {\n HERE", "pay"),
        ("const shop = { pay(cart) {\n HERE", "pay"),
        ("const shop = { pay: function (cart) {\n HERE", "pay"),
        ("class Cart extends List {\n x = 1;\n async total(a) {\n HERE", "Cart.total"),
        ("function a() { return '}' }\nfunction b() { /* { */ HERE", "b"),
        ("function a() {}\nHERE", ""),
        ("if (x) { HERE", ""),
    ],
)
def test_the_function_around_a_place_is_named(source: str, function: str) -> None:
    """As its source says, past braces in texts and comments."""
    before = source[: source.index("HERE")]
    line = before.count("\n") + 1
    column = len(before.rpartition("\n")[2]) + 1
    assert enclosing_function(source, line, column) == function


def files(*folders: Path) -> tuple[SourceMapFiles, list[Exception]]:
    """The maps of some folders, and what they could not read."""
    failures: list[Exception] = []
    return SourceMapFiles(lambda: folders, lambda: 0.0, failures.append), failures


def shown(found: SourceMapFiles, address: str, column: int = 0) -> dict[str, Any]:
    """What becomes of a frame of a shipped file."""
    column = column or (MAPS / SHIPPED).read_text().index(".price") + 1
    frame = {"filename": address, "function": "t", "lineno": 1, "colno": column, "in_app": True}
    (made,), _ = found.frames_of({"frames": [frame]})
    return made


@each(
    "address",
    [
        f"https://cdn.example/static/js/{SHIPPED}?v=7",
        f"/{SHIPPED}",
        f"app:///{SHIPPED}",
        f"/srv/shop/{SHIPPED}",
    ],
)
def test_a_frame_shows_what_people_wrote(address: str) -> None:
    """File, line, function and lines of the source, and where it was shipped."""
    frame = shown(files(MAPS)[0], address)
    assert (frame["file"], frame["function"], frame["line"]) == ("cart.js", "Cart.total", 9)
    assert "this.items.map" in frame["source"]["lines"][9 - frame["source"]["first"]]
    assert frame["generated"].startswith(f"{SHIPPED}:1:")
    assert not frame["minified"]


def test_the_shipped_file_may_name_its_map(tmp_path: Path) -> None:
    """Under another name, or with the map in it."""
    data = (MAPS / f"{SHIPPED}.map").read_bytes()
    code = (MAPS / SHIPPED).read_text().partition("//#")[0]
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "other.map").write_bytes(data)
    (tmp_path / "a.js").write_text(f"{code}\n//# sourceMappingURL=maps/other.map\n")
    inline = base64.b64encode(data).decode()
    (tmp_path / "b.js").write_text(
        f"{code}\n//# sourceMappingURL=data:application/json;base64,{inline}\n"
    )
    found, failures = files(tmp_path)
    assert shown(found, "/a.js")["function"] == "Cart.total"
    assert shown(found, "/b.js")["function"] == "Cart.total"
    assert not failures


def test_a_build_is_told_apart_by_its_debug_id(tmp_path: Path) -> None:
    """The map of another build is not used; the right one is found under any name, inside only."""
    old, new, lost = ("11111111-2222-3333-4444-55555555555" + last for last in "123")
    document = json.loads((MAPS / f"{SHIPPED}.map").read_bytes())
    maps = tmp_path / "maps"
    (maps / "before").mkdir(parents=True)
    (maps / "app.js.map").write_text(json.dumps({"debugId": new, **document, "sources": ["n.js"]}))
    (maps / "before" / "x.map").write_text(json.dumps({**document, "debug_id": old.upper()}))
    (tmp_path / "y.js.map").write_text(json.dumps({**document, "debug_id": lost}))
    (maps / "link.map").symlink_to(tmp_path / "y.js.map")
    found, failures = files(maps)
    column = (MAPS / SHIPPED).read_text().index(".price") + 1
    frame = {"abs_path": "https://a.test/app.js", "function": "t", "lineno": 1, "colno": column}

    def file_of(debug_id: object) -> str:
        image = {"type": "sourcemap", "code_file": frame["abs_path"], "debug_id": debug_id}
        ids = debug_ids_of({"debug_meta": {"images": [image, None, {}]}})
        ((made,), _) = found.frames_of({"frames": [frame]}, ids)
        return str(made["file"])

    assert [file_of(each) for each in (new, old, None, "../..")] == [
        "n.js",
        "cart.js",
        "n.js",
        "n.js",
    ]
    assert file_of(lost) == frame["abs_path"]
    assert not failures


def test_the_id_of_a_shipped_file_leads_to_its_map(tmp_path: Path) -> None:
    """Where the map has none: it stands beside the file or is named by it."""
    debug_id = "a" * 32
    shutil.copy(MAPS / f"{SHIPPED}.map", tmp_path / "b.js.map")
    (tmp_path / "b.js").write_text(f"t()\n//# debugId={debug_id}\n//# sourceMappingURL=b.js.map")
    found, _ = files(tmp_path)
    column = (MAPS / SHIPPED).read_text().index(".price") + 1
    frame = {"filename": "https://a.test/other.js", "lineno": 1, "colno": column}
    ((made,), _) = found.frames_of({"frames": [frame]}, {frame["filename"]: debug_id})
    assert made["file"] == "cart.js"


def test_nothing_outside_of_the_folders_is_read(tmp_path: Path) -> None:
    """By whatever address, link or comment."""
    inside = tmp_path / "static"
    inside.mkdir()
    shutil.copy(MAPS / f"{SHIPPED}.map", tmp_path / "secret.js.map")
    (inside / "link.js.map").symlink_to(tmp_path / "secret.js.map")
    (inside / "named.js").write_text("//# sourceMappingURL=../secret.js.map")
    os.mkfifo(inside / "pipe.js.map")
    (inside / "dir.js.map").mkdir()
    found, _ = files(inside)
    for address in (
        "/../secret.js", "/%2e%2e/secret.js", "..\\secret.js", "/link.js", "/named.js", "/pipe.js",
        "/dir.js", "/a\0b.js", "https://[::1/x.js", "/" + "a/" * 5_000 + "x.js", "", "/etc/passwd",
    ):  # fmt: skip
        assert shown(found, address, 5)["function"] == "t", address


def test_a_damaged_map_leaves_the_frame_as_it_was(tmp_path: Path) -> None:
    """What is wrong with it is noted once, not for each event."""
    (tmp_path / "a.js.map").write_bytes(b"{")
    found, failures = files(tmp_path)
    for _ in range(3):
        assert shown(found, "/a.js")["function"] == "t"
    assert len(failures) == 1
    assert "a.js.map" in str(failures[0])


def test_issues_name_what_people_wrote(tmp_path: Path) -> None:
    """Two builds with other names and hashes have one issue."""
    installation = Installation(tmp_path / "data", source_maps=tmp_path / "maps")
    installation.keys.make("web", NOW, key=KEY)
    (tmp_path / "maps").mkdir()
    shutil.copy(MAPS / f"{SHIPPED}.map", tmp_path / "maps")
    column = (MAPS / SHIPPED).read_text().index(".price") + 1
    for host, name in (("a.example", "t"), ("b.example", "q")):
        frame = {
            "filename": f"https://{host}/{SHIPPED}",
            "function": name,
            "lineno": 1,
            "colno": column,
        }
        error = {"type": "TypeError", "value": "no items", "stacktrace": {"frames": [frame]}}
        body = event_body(exception={"values": [error]}, message=None)
        assert installation.send(body).status_code == 200
    (issue,) = installation.page("/errors.json")["issues"]
    assert (issue["count"], issue["culprit"]) == (2, "Cart.total (cart.js)")
    installation.monitor.close()
