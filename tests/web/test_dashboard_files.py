"""Dashboards as code: texts in and out, files of the app's repository, the form, the command."""

from __future__ import annotations

import io
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import Client

from inapp_monitor import Monitor
from inapp_monitor.cli.command_line import main
from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.web.dashboards.files import DashboardFiles
from inapp_monitor.web.dashboards.format import (
    SHAPES,
    checked,
    read,
    write_graphite,
    write_json,
    write_toml,
)
from tests.each import each

TOKEN = "files-token-0123456789"
HTML = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/html"}
TOML = """\
title = "Checkout"

[[panels]]
title = "Latency"
targets = ["routes.checkout.POST.time.p95"]

[[panels]]
targets = [
  "sumSeries(routes.*.*.errors)",
  "requests.errors",
]
shape = "stacked"
"""
WRONG = TOML.replace('"stacked"', '"<b>pie"')
DOCUMENT = {
    "title": "Checkout",
    "panels": [
        {"title": "Latency", "targets": ["routes.checkout.POST.time.p95"], "shape": "line"},
        {
            "title": "",
            "targets": ["sumSeries(routes.*.*.errors)", "requests.errors"],
            "shape": "stacked",
        },
    ],
}


def documents(texts: st.SearchStrategy[str], shapes: tuple[str, ...] = SHAPES) -> Any:
    targets = st.sampled_from(["a.b", "sumSeries(a.*,b)", "alias(x.y,'it said \"no\" \\\\ é')"])
    panel = st.fixed_dictionaries(
        {
            "title": texts,
            "targets": st.lists(targets, min_size=1, max_size=4),
            "shape": st.sampled_from(shapes),
        }
    )
    return st.fixed_dictionaries({"title": texts, "panels": st.lists(panel, max_size=5)})


# -- texts


@given(documents(st.text(max_size=40)))
def test_toml_comes_back_as_it_went(document: Any) -> None:
    """Any title, with quotes, control characters and all, through Python's own reader."""
    text = write_toml("shop", document)
    assert read(text) == ("shop", document)
    assert tomllib.loads(text)["title"] == document["title"]


@given(documents(st.text(max_size=40)))
def test_json_comes_back_as_it_went(document: Any) -> None:
    """The same document."""
    assert read(write_json("shop", document)) == ("shop", document)


@given(documents(st.text(max_size=40), ("line", "area", "stacked")))
def test_graphites_json_comes_back_as_it_went(document: Any) -> None:
    """But for the title, where an empty one is the name."""
    found = read(write_graphite("shop", document))
    assert found.document["panels"] == document["panels"]
    assert found.document["title"] == (document["title"] or "shop")


def test_graphites_json_is_what_its_dashboards_load() -> None:
    """Triples of targets, parameters and address; the name; sizes; whether it refreshes."""
    state = json.loads(write_graphite("shop", DOCUMENT))
    targets, parameters, url = state["graphs"][1]
    assert targets == "target=sumSeries%28routes.%2A.%2A.errors%29&target=requests.errors"
    assert parameters["target"] == DOCUMENT["panels"][1]["targets"]  # type: ignore[index]
    assert parameters["areaMode"] == "stacked"
    assert url.startswith("/render?target=sumSeries")
    assert {"name", "defaultGraphParams", "refreshConfig", "timeConfig", "graphSize"} <= set(state)
    assert read(json.dumps({"state": state})).name == "shop"


def test_toml_by_hand() -> None:
    """What a person writes, and how ours looks."""
    assert read(TOML) == ("", DOCUMENT)
    assert write_toml("checkout", DOCUMENT) == f'name = "checkout"\n{TOML}'


def test_half_characters_are_replaced() -> None:
    """JSON can hold what TOML and UTF-8 cannot."""
    text = r'{"title": "a\ud800b", "panels": [{"targets": ["x"]}]}'
    document = read(text).document
    assert document["title"] == "a�b"
    assert read(write_toml("x", document)).document == document


@each(
    ("text", "line", "words"),
    [
        ('title = "x\npanels = []', 1, "column"),
        ("title = 'x'\n[[panels]]\ntargets = ['a'\n", 4, ""),
        ("title = 'x'\n[[panels]]\ntargets = ['a']\nshape = 'lines'\n", 4, "line, area, stacked"),
        ("[[panels]]\ntargets = ['a']\n[[panels]]\ntitle = 'b'\ntarget = 'a'\n", 5, "targets"),
        ("[[panels]]\ntargets = ['a']\n\n[[panels]]\ntitle = 'b'\n", 4, "list"),
        ("[[panels]]\ntargets = ['sum(']\n", 2, "panel 1, target 1"),
        ("[[panels]]\ntargets = []\n", 2, "at least one"),
        ("titel = 'x'\n", 1, "name, title, panels"),
        ("title = 5\npanels = []\n", 1, "text"),
        ("", 1, "list"),
        ('{"title": "x",\n "panels": [\n {"targets": ["a"],\n  "shape": "pie"}]}', 4, "line, area"),
        ('{"panels": [\n {"targets": ["a"]},\n {"targets": "b"}\n]}', 3, "list"),
        ('{"panels": [\n {"targets": ["a",\n "b)"]}]}', 3, "panel 1, target 2"),
        ('{"panels": [\n 5]}', 2, "table"),
        ('{"panels":\n [,]}', 2, "column"),
        ('{"state": {\n"graphs": [\n[{"target": "a"}], [{"target": 7}]]}}', 3, "graph 2"),
        ("[1, 2]", 1, ""),
        ("[" * 100_000, 1, ""),
        ("a = " + "[" * 100_000, 1, ""),
    ],
)
def test_what_is_wrong_is_told_by_line(text: str, line: int, words: str) -> None:
    """And by key, with what was expected there."""
    with pytest.raises(QueryError) as caught:
        read(text)
    assert re.match(rf"line {line}\b", str(caught.value)), caught.value
    assert words in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but our own error comes out, whatever goes in."""
    for given_text in (text, "{" + text, "[[panels]]\n" + text):
        try:
            read(given_text)
        except QueryError as error:
            assert str(error).startswith("line ")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["panels", "targets", "title", "shape", "graphs", "state", "target"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_any_json_is_read_or_refused(value: Any) -> None:
    """Of any shape."""
    try:
        document = read(json.dumps({"panels": value}, indent=1)).document
    except QueryError as error:
        assert str(error).startswith("line ")
    else:
        assert checked(document) == document


# -- files


def test_files_are_dashboards(tmp_path: Path) -> None:
    """TOML, JSON and Graphite's; read again when they change; others are left alone."""
    (tmp_path / "shop.toml").write_text(TOML)
    (tmp_path / "ops.json").write_text(write_json("x", checked(DOCUMENT)))
    (tmp_path / "old.graphite.json").write_text(write_graphite("y", checked(DOCUMENT)))
    (tmp_path / "README.md").write_text("about them")
    (tmp_path / "bad name.toml").write_text(TOML)
    files = DashboardFiles(tmp_path)
    found = files.all()
    assert sorted(found) == ["old", "ops", "shop"]
    assert all(file.document == DOCUMENT for file in found.values())
    (tmp_path / "shop.toml").write_text(TOML.replace("Checkout", "Checkout of tea"))
    document = files.all()["shop"].document
    assert document is not None
    assert document["title"] == "Checkout of tea"
    (tmp_path / "ops.json").unlink()
    assert sorted(files.all()) == ["old", "shop"]


def test_a_file_that_is_wrong_says_so(tmp_path: Path) -> None:
    """Its name and line; a directory that is not there as well."""
    (tmp_path / "shop.toml").write_text(WRONG)
    (tmp_path / "raw.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "dir.toml").mkdir()
    problems = {name: file.problem for name, file in DashboardFiles(tmp_path).all().items()}
    assert problems["shop"].startswith("shop.toml: line 12")
    assert "raw.toml" in problems["raw"]
    assert "dir.toml" in problems["dir"]
    (missing,) = DashboardFiles(tmp_path / "none").all().values()
    assert "dashboards_dir cannot be read" in missing.problem
    assert DashboardFiles(None).all() == {}


# -- pages


@pytest.fixture
def site(tmp_path: Path) -> Any:
    """A monitored app with one dashboard as a file; its client and directories."""
    folder = tmp_path / "dashboards"
    folder.mkdir()
    (folder / "tea.toml").write_text(TOML)
    made = Monitor(
        lambda environ, start: [b"x"],
        data_dir=tmp_path / "data",
        token=TOKEN,
        dashboards_dir=folder,
    )
    yield Client(made)
    made.close()


def post(client: Client, path: str, **data: Any) -> Any:
    return client.post(f"/_metrics{path}", data=data, headers=HTML)


def test_a_file_is_shown_and_not_changed(site: Client) -> None:
    """It wins over a saved one of its name; saving and deleting name the file."""
    page = site.get("/_metrics/dashboards/tea", headers=HTML).text
    assert "tea.toml" in page
    assert "delete this dashboard" not in page
    assert "tea.toml" in site.get("/_metrics/dashboards", headers=HTML).text
    for path, data in (
        ("/dashboards", {"name": "tea", "target": "a.b"}),
        ("/dashboards/tea/delete", {}),
        ("/dashboards/tea/delete", {"panel": "0"}),
        ("/dashboards/import", {"name": "tea", "text": TOML}),
    ):
        answer = post(site, path, **data)
        assert answer.status_code == 400
        assert "change it there" in answer.text
    assert len(site.get("/_metrics/dashboards/tea.json", headers=HTML).json["panels"]) == 2


def test_a_dashboard_leaves_and_comes_back(site: Client) -> None:
    """Each export, taken in under another name, is the same dashboard."""
    for form, media_type in (
        ("toml", "application/toml"),
        ("json", "application/json"),
        ("graphite.json", "application/json"),
    ):
        answer = site.get(f"/_metrics/dashboards/tea/export.{form}", headers=HTML)
        assert answer.mimetype == media_type
        assert f'filename="tea.{form}"' in answer.headers["Content-Disposition"]
        name = f"copy-{form[:4]}"
        posted = post(site, "/dashboards/import", name=name, text=answer.text)
        assert posted.headers["Location"] == f"/_metrics/dashboards/{name}"
        again = site.get(f"/_metrics/dashboards/{name}/export.toml", headers=HTML)
        assert read(again.text).document == DOCUMENT
        raw = site.post(f"/_metrics/dashboards/{name}-2", data=answer.data, headers=HTML)
        assert raw.status_code == 303
    assert site.get("/_metrics/dashboards/tea/export.exe", headers=HTML).status_code == 404
    assert site.get("/_metrics/dashboards/none/export.toml", headers=HTML).status_code == 404


def test_a_file_is_uploaded_by_the_form(site: Client) -> None:
    """Named after itself when neither the form nor the text says a name."""
    file = (io.BytesIO(TOML.encode()), "shop.toml")
    assert post(site, "/dashboards/import", file=file).headers["Location"].endswith("/shop")
    named = (io.BytesIO(b'name = "own"\n' + TOML.encode()), "other.toml")
    assert post(site, "/dashboards/import", file=named).headers["Location"].endswith("/own")


def test_a_wrong_upload_shows_the_line_and_the_text(site: Client) -> None:
    """Nothing typed is lost; nothing is stored."""
    text = WRONG
    answer = post(site, "/dashboards/import", name="x", text=text)
    assert answer.status_code == 400
    assert "line 12" in answer.text
    assert "&lt;b&gt;pie" in answer.text
    assert 'value="x"' in answer.text
    assert post(site, "/dashboards/import", text=" ").status_code == 400
    assert post(site, "/dashboards/import", text=TOML).status_code == 400  # no name
    assert post(site, "/dashboards/import", name="a b", text=TOML).status_code == 400
    assert site.get("/_metrics/dashboards/x", headers=HTML).status_code == 404


def test_files_are_taken_at_one_address_only(site: Client) -> None:
    """Elsewhere a multipart body is not read; a large one nowhere."""
    small = (io.BytesIO(b"x"), "x.toml")
    assert post(site, "/dashboards", file=small).status_code == 415
    large = (io.BytesIO(b"#" * (2**20 + 1)), "x.toml")
    assert post(site, "/dashboards/import", file=large).status_code == 413
    anonymous = site.post("/_metrics/dashboards/import", data={"text": TOML, "name": "x"})
    assert anonymous.status_code == 401


# -- the command


def run(*arguments: object) -> Any:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_command_takes_dashboards_out_and_in(tmp_path: Path) -> None:
    """From a file into a directory that an app may use, and back."""
    data, file = tmp_path / "data", tmp_path / "shop.toml"
    data.mkdir()
    file.write_text(TOML)
    assert run("dashboards", data, "import", file).output == "shop: 2 charts imported\n"
    assert run("dashboards", data, "import", file, "--name", "b").exit_code == 0
    listed = run("dashboards", data).output.splitlines()
    assert listed == ["b  2 charts  Checkout", "shop  2 charts  Checkout"]
    for form in ("toml", "json", "graphite"):
        text = run("dashboards", data, "export", "shop", "--format", form).output
        assert read(text) == ("shop", DOCUMENT)


def test_the_command_says_in_one_line_what_is_wrong(tmp_path: Path) -> None:
    """File, line and what was expected; exit code 2."""
    file = tmp_path / "shop.toml"
    file.write_text(WRONG)
    for arguments, words in (
        (("import", file), "shop.toml: line 12"),
        (("import", tmp_path / "none.toml"), "none.toml"),
        (("import",), "needs the FILE"),
        (("export", "nothing"), "no dashboard 'nothing'"),
    ):
        result = run("dashboards", tmp_path, *arguments)
        assert result.exit_code == 2
        assert words in result.output
        assert result.output.count("\n") == 1
