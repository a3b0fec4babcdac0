"""Nothing that was recorded acts on a terminal, a log, a page or Markdown that shows it."""

from __future__ import annotations

import ast
import json
import logging
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from werkzeug.test import Client

import inapp_monitor
from inapp_monitor import Monitor
from inapp_monitor.cli import main
from inapp_monitor.ground.guard import Guard
from inapp_monitor.ground.visible_text import visible, visible_line
from inapp_monitor.issues.as_text import event_markdown, event_text
from inapp_monitor.web.dashboards import format

TOKEN = "terminal-token-0123456789"
#: Clears the screen, sets its title, rings, goes back, turns the text, hides and begins a line.
HOSTILE = (
    "a\x1b[2J\x1b]0;title\x07\x9b31m\x08\x7f\r\u202eevil\u2066\u200f\u2028\u2029\ufffb\U000e0041"
    "\nfaked line"
)
ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def holds_back(text: str) -> bool:
    """Whether nothing in it acts, and it begins no line of its own."""
    return not ACTING.search(text) and not re.search(r"^\W*faked line", text, re.MULTILINE)


def fail(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Fails with all that an attacker may choose."""
    kind = type(HOSTILE, (Exception,), {"__module__": HOSTILE})
    raise kind(HOSTILE.replace("\n", " "))


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    """A monitor over an app that fails, with a hostile dashboard and a hostile series."""
    made = Monitor(fail, data_dir=tmp_path / "data", token=TOKEN, collect_host=False)
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json"}
    client = Client(made)
    with pytest.raises(Exception, match="evil"):
        client.get("/x", headers={"User-Agent": HOSTILE.replace("\n", "").replace("\r", "")})
    state = {"name": HOSTILE, "graphs": [[HOSTILE, {"target": ["a"], "title": HOSTILE}, "/r"]]}
    answer = client.post("/_metrics/dashboards/named", json={"state": state}, headers=headers)
    assert answer.status_code < 400, answer.text
    made.refresh()
    yield made
    made.close()


def run(*arguments: object) -> str:
    return CliRunner().invoke(main, [str(word) for word in arguments]).output


@pytest.mark.parametrize(
    "arguments", [("errors",), ("errors", "show"), ("dashboards",), ("check",), ("plan",)], ids=str
)
def test_commands_print_what_was_recorded_as_text(
    arguments: tuple[str, ...], monitor: Monitor
) -> None:
    """Every list and every page of the command line."""
    data_dir = monitor.settings.data_dir
    first, *others = arguments
    if first == "plan":
        text = run(first, "--data-dir", data_dir)
    elif others:
        issue_id = run("errors", data_dir).splitlines()[1].split()[0]
        text = run(first, data_dir, *others, issue_id)
    else:
        text = run(first, data_dir)
    assert "\\x1b" in text or first in ("check", "plan")
    assert holds_back(text), repr(text)


@pytest.mark.parametrize("form", ["toml", "json", "graphite"])
def test_an_exported_dashboard_is_the_same_and_acts_on_no_terminal(
    form: str, monitor: Monitor
) -> None:
    """Escaped as the format has it, so that it reads as it was written."""
    text = run("dashboards", monitor.settings.data_dir, "export", "named", "--format", form)
    assert not ACTING.search(text)
    found = format.read(text).document
    shown = run("dashboards", monitor.settings.data_dir, "export", "named", "--format", "json")
    assert found["title"] == json.loads(shown)["title"]
    assert "\x1b" in found["title"]


def test_toml_strings_keep_every_character() -> None:
    """Those that act are escaped; all are read as they were."""
    text = "".join(map(chr, [*range(0x20, 0x250), 0x2028, 0x202E, 0xFFFB, 0x1F600, 0xE0041]))
    written = format.write_toml("n", {"title": text, "panels": []})
    assert not ACTING.search(written.replace("\n", ""))
    assert tomllib.loads(written)["title"] == text


def test_names_of_files_act_on_no_terminal(tmp_path: Path) -> None:
    """Of a tree that somebody else packed: import, check, info, and what is wrong with them."""
    name = HOSTILE.replace("/", "")
    tree, data = tmp_path / "tree", tmp_path / "data"
    (tree / name).mkdir(parents=True)
    (tree / name / f"{name}.wsp").write_bytes(b"no Whisper file")
    data.mkdir()
    texts = [
        run("import", tree, "--data-dir", data),
        run("info", tree / name / f"{name}.wsp"),
        run("info", tree / f"missing{name}"),
        run("fetch", data, HOSTILE),
        run("errors", data, "show", HOSTILE),
        run("check", tree / name),
        run(HOSTILE),
    ]
    for text in texts:
        assert text
        assert holds_back(text), repr(text)


@pytest.mark.parametrize("form", ["raw", "csv"])
def test_names_in_plain_formats_act_on_no_terminal(form: str, monitor: Monitor) -> None:
    """`fetch` and curl print them."""
    target = 'alias(constantLine(1),"' + re.sub(r"[\r\n]", " ", HOSTILE) + '")'
    text = run("fetch", monitor.settings.data_dir, target, "--format", form)
    assert "evil" in text
    assert not ACTING.search(text.replace("\r\n", "\n"))


def test_pages_show_it(monitor: Monitor) -> None:
    """Issue, dashboards and refusals: nothing turns or hides what stands around it."""
    client = Client(monitor)
    for accept in ("text/html", "text/plain"):
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept": accept}
        issues = client.get("/_metrics/errors.json", headers=headers).json["issues"]
        for path in ("/errors", f"/errors/{issues[0]['id']}", "/dashboards", "/dashboards/named"):
            assert not ACTING.search(client.get(f"/_metrics{path}", headers=headers).text), path
        target = {"target": HOSTILE, "format": "json"}
        refused = client.get("/_metrics/render", query_string=target, headers=headers)
        assert refused.status_code == 400
        assert not ACTING.search(refused.text)


def event(**changes: Any) -> dict[str, Any]:
    """What is stored of an error, without what scrubbing makes of it."""
    return {
        "type": HOSTILE,
        "message": HOSTILE,
        "time": 1_795_446_000,
        "culprit": HOSTILE,
        "route": HOSTILE,
        "release": "`x`",
        "environment": "- *y*",
        "server": "|z| ~~a~~ &lt; ![b](c) $d$ #e",
        "tags": {HOSTILE: HOSTILE},
        "request": {
            "scheme": "https",
            "host": "h",
            "path": HOSTILE,
            "query": "",
            "method": "POST",
            "headers": [("X-A", HOSTILE), ("X-B", "````\n# b")],
        },
        "breadcrumbs": [{"level": "info", "category": HOSTILE, "message": HOSTILE}],
        **changes,
    }


def test_an_event_as_text_has_a_line_a_fact() -> None:
    """A tag, a header or a crumb cannot begin a line, and nothing acts."""
    text = event_text(event(message="m"))
    assert holds_back(text), text


def test_an_event_as_markdown_cannot_be_broken_out_of() -> None:
    """No heading, item, link, picture or end of a block that was not meant."""
    text = event_markdown(event(message="m ```` m"))
    assert holds_back(text)
    lines = text.splitlines()
    assert sum(line.startswith("#") for line in lines) == 1
    fences = [line for line in lines if re.match(r"`{3,}", line)]
    assert [fence.strip("`") for fence in fences] == ["python", "", "sh", ""]
    assert fences[0].startswith("`````p")
    assert fences[2].startswith("`````s")
    assert r"**release**: \`x\`" in text
    assert r"\|z\| \~\~a\~\~ \&lt; \!\[b\](c) \$d\$ \#e" in text


def test_log_lines_are_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    """An error's text cannot forge a record."""
    guard = Guard()
    with caplog.at_level(logging.WARNING, "inapp_monitor"):
        guard.failed("part", ValueError(HOSTILE))
    (record,) = caplog.records
    assert "\n" not in record.getMessage()
    assert not ACTING.search(record.getMessage())
    assert not ACTING.search(guard.faults["part"].last)


def test_ordinary_text_stays_as_it_is() -> None:
    """Whatever the language: letters of right-to-left scripts, joiners, pictures."""
    text = "größer שלום مرحبا नमस्ते 👩‍💻 ﷽ \tx\n"
    assert visible(text) == text
    assert visible_line(text) == text.replace("\t", r"\t").replace("\n", r"\n")


def test_the_command_line_prints_through_one_module() -> None:
    """A command that printed by itself would be the next hole."""
    folder = Path(inapp_monitor.__file__).parent / "cli"
    printing = {
        path.name
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("click.echo", "print")
    }
    assert printing == {"echo.py", "group.py"}
