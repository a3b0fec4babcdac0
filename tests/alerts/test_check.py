"""The Nagios plugin and the command `alerts`: exit codes, texts and limits."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from click.testing import CliRunner

from inapp_monitor.alerts import nagios_output
from inapp_monitor.alerts.kept_states import Kept
from inapp_monitor.alerts.nagios_output import Metric
from inapp_monitor.alerts.status import Status
from inapp_monitor.cli.command_line import main
from tests.alerts.judged_site import TOKEN, JudgedSite
from tests.alerts.notices import HOSTILE
from tests.alerts.receivers import http_receiver


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, [str(each) for each in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_rule_by_its_files(judged: JudgedSite) -> None:
    """0 to 2 by the rule's status, its evidence, and perfdata with its ranges."""
    code, text = run("check", "pay-fails", "--data-dir", judged.data_dir)
    assert code == 2
    assert text.startswith("CRITICAL: /pay fails: 34 of 34 requests failed | pay-fails=100;;~:5")
    code, text = run("check", "deep.queue", "--data-dir", judged.data_dir)
    first = text.splitlines()[0]
    assert code == 1
    assert first.startswith("WARNING: deep.queue shop.b.depth: 12 jobs, warning range 10 (+1 more)")
    assert "shop.b.depth=12;10;~:50" in first
    assert run("check", "fine", "--data-dir", judged.data_dir)[0] == 0


def test_all_rules(judged: JudgedSite) -> None:
    """The worst one first, a line each."""
    code, text = run("check", "--all", "--data-dir", judged.data_dir)
    assert code == 2
    assert text.startswith("CRITICAL: 2 of 3 rules: CRITICAL: /pay fails")
    assert "problems=2 rules=3" in text.splitlines()[0]


UNKNOWN = [
    (["check", "nothing", "--data-dir", "{data}"], "no rule 'nothing'"),
    (["check", "new", "--data-dir", "{data}"], "not been judged yet"),
    (["check", "fine", "--data-dir", "/nowhere/at/all"], "no data directory"),
    (["check", "fine", "-u", "http://127.0.0.1:1/_metrics"], "refused"),
    (["check", "fine", "-u", "ftp://x"], "url must be"),
    (["check", "fine", "-u", "http://127.0.0.1:1/", "-a", "/no/token"], "token file"),
    (["check", "--target", "a.b", "-w", "2:1", "--data-dir", "{data}"], "start 2 is above end 1"),
    (["check", "--target", "a.b", "-w", "/x:10", "--data-dir", "{data}"], "quote the range"),
    (["check", "--target", "nobody(", "-w", "1", "--data-dir", "{data}"], "UNKNOWN: "),
    (["check", "--target", "no.such", "-w", "1", "--data-dir", "{data}"], "no series"),
    (["check", "fine", "-w", "1", "--data-dir", "{data}"], "goes with --target"),
    (["check", "fine", "--all", "--data-dir", "{data}"], "give one of"),
    (["check", "--bogus"], "No such option"),
    (["check", "--all", "-t", "soon"], "-t must be"),
    (["check", "--all", "-t", "0"], "-t must be more than 0"),
    (["check", "--all", "-t", "9" * 30], "-t must be more than 0"),
    (["check", "--help"], "RULE"),
    (["check", "-V"], "version"),
]


@pytest.mark.parametrize(("arguments", "text"), UNKNOWN, ids=lambda value: str(value)[:40])
def test_whatever_cannot_be_known_is_unknown(
    judged: JudgedSite, arguments: list[str], text: str
) -> None:
    """3 with the reason on standard output, never a traceback, never 1 by accident."""
    code, output = run(*(each.format(data=judged.data_dir) for each in arguments))
    assert code == 3
    assert text in output and "Traceback" not in output


def test_a_locale_with_few_letters_loses_no_answer(judged: JudgedSite) -> None:
    """Nagios may run in a locale that has no UTF-8: what it does not know is a question mark."""
    judged.put("pay-fails", "", Status.CRITICAL, 100.0, "caf\u00e9 \u202e \u5b57")
    done = CliRunner(charset="ascii").invoke(
        main, ["check", "pay-fails", "--data-dir", str(judged.data_dir)]
    )
    assert done.exit_code == 2 and "CRITICAL: /pay fails: caf?" in done.output


def test_old_states_are_unknown(judged: JudgedSite) -> None:
    """When nobody judges any more, nothing is OK."""
    judged.judge(ago_s=600)
    code, text = run("check", "fine", "--data-dir", judged.data_dir)
    assert (code, "nobody has judged the rules for 10 min" in text) == (3, True)


def test_files_are_still_verified(judged: JudgedSite) -> None:
    """`check DATA_DIR` is what it was."""
    code, text = run("check", judged.data_dir)
    assert code == 0 and "0 problems" in text
    assert run("check", judged.data_dir / "nothing")[0] == 2


@pytest.fixture
def dashboard(judged: JudgedSite) -> Iterator[str]:
    """The dashboard of the site, served."""

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    server = make_server("127.0.0.1", 0, judged.app(), handler_class=Quiet)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_rule_by_http(judged: JudgedSite, dashboard: str, tmp_path: Path) -> None:
    """As user `nagios`, who may not read the files: address and token file."""
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    for given in (token, f"@{token}"):
        code, text = run("check", "pay-fails", "-u", dashboard, "-a", given)
        assert (code, text.startswith("CRITICAL: /pay fails")) == (2, True)
    code, text = run("check", "pay-fails", "-u", dashboard)
    assert code == 3 and "401" in text
    token.write_text("wrong-token")
    assert run("check", "pay-fails", "-u", dashboard, "-a", token)[0] == 3


def test_a_busy_dashboard_is_asked_again() -> None:
    """503 says: in a moment. A timeout may be longer than a step of a request."""
    with http_receiver() as receiver:
        receiver.statuses = [503, 503, 404]
        code, text = run("check", "fine", "-u", receiver.url, "-t", "60")
    assert code == 3 and "answered 404" in text
    assert len(receiver.got) == 3


def test_many_hostile_series_stay_within_limits(judged: JudgedSite) -> None:
    """8 kB in all, one bar, perfdata in whole items, the rest counted."""
    for number in range(300):
        judged.put("deep.queue", f"shop.{number}.depth", Status.CRITICAL, 60.0 + number, HOSTILE)
    code, text = run("check", "deep.queue", "--data-dir", judged.data_dir)
    assert code == 2
    assert len(text.encode()) <= 8_000
    assert text.count("|") == 1
    first = text.splitlines()[0]
    assert re.search(r"\(\+\d+ more\)", first)
    for item in first.split(" | ")[1].split(" "):
        assert re.fullmatch(r"[\w.]+=(U|-?[\d.]+)(;[\d:~.@]*){0,2}", item), item


def test_perfdata() -> None:
    """Quoted labels, units of Nagios, no exponents, `U` for no value."""
    items = [
        Metric("p95", 12.5, "ms", "10", "~:20"),
        Metric("a b=c'd", 1e-7),
        Metric("big", 1e20),
        Metric("none", float("nan"), "s", "1"),
        Metric("inf", float("inf")),
    ]
    text, missing = nagios_output.perfdata(items)
    assert missing == 0
    assert text == "p95=12.5ms;10;~:20 'a b_c''d'=0 big=100000000000000000000 none=U inf=U"


def test_list_and_show(judged: JudgedSite) -> None:
    """A table; one rule with its states; escapes of terminals are visible."""
    code, text = run("alerts", judged.data_dir)
    assert code == 0
    assert text.splitlines()[1].startswith("CRITICAL  pay-fails")
    code, text = run("alerts", "show", "deep.queue", "--data-dir", judged.data_dir)
    assert "shop.b.depth: 12 jobs" in text and "\x1b" not in text
    assert run("alerts", judged.data_dir, "show", "nothing")[0] == 2
    code, text = run("alerts", judged.data_dir, "--json")
    assert '"name": "pay-fails"' in text


def test_ack_and_downtime(judged: JudgedSite) -> None:
    """They are asked for; the leader does them."""
    assert run("alerts", judged.data_dir, "ack", "pay-fails", "--note", "on it")[0] == 0
    assert run("alerts", judged.data_dir, "downtime", "fine", "--for", "1h")[0] == 0
    code, text = run("alerts", judged.data_dir, "downtime", "fine", "--for", "long")
    assert (code, "for must be a duration" in text) == (2, True)
    assert judged.asked() == [("pay-fails", "*", "acknowledge"), ("fine", "*", "downtime")]


def test_notifiers_are_tested(judged: JudgedSite, tmp_path: Path) -> None:
    """Each says whether it worked; 1 when one did not."""
    program = tmp_path / "page"
    program.write_text(f"#!/bin/sh\ncat > {tmp_path}/got\n")
    program.chmod(0o700)
    (tmp_path / "notifiers.toml").write_text(
        f'[notifiers.pager]\ntype = "exec"\ncommand = ["{program}"]\n'
        '[notifiers.hook]\ntype = "webhook"\nurl = "http://127.0.0.1:1/"\n'
    )
    config = tmp_path / "monitor.toml"
    config.write_text(f'alert_notifiers = "{tmp_path}/notifiers.toml"\nalert_programs = true\n')
    code, text = run("alerts", "test", "--config", config)
    assert code == 1
    assert "pager (exec): sent" in text and "hook (webhook): 127.0.0.1 is 127.0.0.1" in text
    assert "this is a test" in (tmp_path / "got").read_text()
    assert run("alerts", "test")[0] == 2


def test_acknowledged_is_said(judged: JudgedSite) -> None:
    """Nagios's readers see that somebody knows; the status stays."""
    from inapp_monitor.alerts import kept_states
    from inapp_monitor.alerts.state import Acknowledgement, acknowledge

    known = judged.kept.all()["pay-fails", ""]
    state, _ = acknowledge(known.state, Acknowledgement(judged.now, "ann", "on it"))
    kept = Kept(state, known.value, known.detail)
    judged.write(lambda c: kept_states.write_state(c, ("pay-fails", ""), kept))
    code, text = run("check", "pay-fails", "--data-dir", judged.data_dir)
    assert code == 2 and "(acknowledged by ann)" in text
