"""An app under gunicorn with two workers is broken and mended: what real receivers see of it.

Needs Debian's packages nagios4-core, prometheus and prometheus-alertmanager, and gunicorn.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor.alerts import prometheus_rules
from inapp_monitor.alerts.rule import Rule
from tests.alerts.receivers import smtp_receiver
from tests.alerts.test_exports import metrics
from tests.compat.nagios_server import BASE_OBJECTS, BINARY, NagiosServer
from tests.ports import number_of, reserve_port

pytestmark = [pytest.mark.compat, pytest.mark.peer]

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-the-site"
ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
PROMTOOL = shutil.which("promtool")
RULES = """
[rules.errors]
title = "/pay fails"
critical = "errors > 5% of requests for 2"
window = "20s"
interval = "5s"
severity = "page"
"""


def wait(condition: Callable[[], bool], seconds: float, what: str) -> float:
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, what
        time.sleep(0.2)
    return time.monotonic() - begun


class Site:
    """The app with its workers, and somebody who visits it."""

    def __init__(self, directory: Path, notifiers: str) -> None:
        self.directory = directory
        self.data_dir = directory / "data"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "rules.toml").write_text(RULES)
        (directory / "notifiers.toml").write_text(notifiers)
        (directory / "token").write_text(TOKEN)
        (directory / "monitor.toml").write_text(
            f'data_dir = "{self.data_dir}"\nalert_rules = "{directory}/rules.toml"\n'
            f'alert_notifiers = "{directory}/notifiers.toml"\ntoken = "{TOKEN}"\n'
            'app_name = "shop"\n'
        )
        self.reserved = reserve_port()
        self.url = f"http://127.0.0.1:{number_of(self.reserved)}"
        self.server: subprocess.Popen[bytes] | None = None
        self.visiting = threading.Event()

    def start(self) -> None:
        environment = {**os.environ, "SITE": str(self.directory), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "gunicorn", "-w", "2", "-b", self.url[7:], "--chdir"]
        log = (self.directory / "log").open("ab")
        self.server = subprocess.Popen(
            [*command, str(Path(__file__).parent), "alerting_site:application"],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        wait(lambda: self.get("/") == b"paid", 20, "the site does not answer")

    def kill(self) -> None:
        """SIGKILL to all workers and their master."""
        assert self.server is not None
        os.killpg(self.server.pid, signal.SIGKILL)
        self.server.wait()

    def get(self, path: str) -> bytes:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        try:
            request = urllib.request.Request(self.url + path, headers=headers)
            with urllib.request.urlopen(request, timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            return b""

    def visit(self) -> None:
        while not self.visiting.is_set():
            self.get("/pay")
            time.sleep(0.05)

    def break_it(self) -> None:
        (self.directory / "broken").touch()

    def mend(self) -> None:
        (self.directory / "broken").unlink()

    def status(self) -> str:
        try:
            rows = json.loads(self.get("/_metrics/alerts.json"))["rules"]
        except ValueError:
            return ""
        return next((row["status"] for row in rows if row["name"] == "errors"), "")


@contextlib.contextmanager
def running(directory: Path, notifiers: str) -> Iterator[Site]:
    site = Site(directory, notifiers)
    site.start()
    visitor = threading.Thread(target=site.visit, daemon=True)
    visitor.start()
    try:
        wait(lambda: site.status() == "OK", 40, "no rule is judged")
        yield site
    finally:
        site.visiting.set()
        visitor.join(10)
        with contextlib.suppress(ProcessLookupError):
            site.kill()
        site.reserved.close()


def test_mail_with_all_workers_killed_in_between(tmp_path: Path) -> None:
    """One PROBLEM and one RECOVERY, though every process was killed while it was broken."""
    with smtp_receiver() as server:
        notifiers = (
            f'[notifiers.ops]\ntype = "smtp"\nhost = "127.0.0.1"\nport = {server.port}\n'
            'security = "none"\nfrom = "monitor@example.org"\nto = ["ops@example.org"]\n'
        )

        def own() -> list[str]:
            """Subjects of our rule's; the detector sends its own."""
            subjects = [str(mail["Subject"]) for mail in server.mails]
            return [subject for subject in subjects if ": /pay fails" in subject]

        with running(tmp_path / "site", notifiers) as site:
            site.break_it()
            wait(lambda: bool(own()), 60, "no PROBLEM was sent")
            time.sleep(2)  # killed before it is noted as sent, it would be sent again
            site.kill()
            site.start()
            time.sleep(20)
            site.mend()
            wait(lambda: len(own()) > 1, 90, "no RECOVERY was sent")
            time.sleep(10)
        sent = own()
    assert sent == ["PROBLEM CRITICAL: /pay fails (shop)", "RECOVERY OK: /pay fails (shop)"]


@pytest.mark.skipif(ALERTMANAGER is None, reason="needs Alertmanager")
def test_alertmanager(tmp_path: Path) -> None:
    """The alert is active while it is broken, and gone after its end."""
    assert ALERTMANAGER is not None
    (tmp_path / "am.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    with reserve_port() as reserved:
        address = f"127.0.0.1:{number_of(reserved)}"
        command = [
            *(ALERTMANAGER, "--config.file", str(tmp_path / "am.yml")),
            *("--storage.path", str(tmp_path / "am"), "--web.listen-address", address),
            "--cluster.listen-address=",
        ]
        log = (tmp_path / "am.log").open("wb")
        process = subprocess.Popen(command, stdout=log, stderr=log)

        def active() -> list[dict[str, Any]]:
            try:
                with urllib.request.urlopen(f"http://{address}/api/v2/alerts", timeout=5) as got:
                    return [a for a in json.load(got) if a["labels"]["alertname"] == "errors"]
            except OSError:
                return []

        notifiers = (
            f'[notifiers.am]\ntype = "alertmanager"\nurl = "http://{address}"\n'
            'allow_private = true\ninterval = "5s"\n'
        )
        try:
            with running(tmp_path / "site", notifiers) as site:
                assert active() == []
                site.break_it()
                wait(lambda: bool(active()), 60, "Alertmanager has no alert")
                (alert,) = active()
                assert alert["labels"]["severity"] == "critical"
                assert alert["annotations"]["summary"] == "/pay fails"
                site.mend()
                wait(lambda: not active(), 90, "the alert does not end")
        finally:
            process.terminate()
            process.wait(10)


ACTIVE = """
define timeperiod {
  timeperiod_name 24x7
  alias always
  monday 00:00-24:00
  tuesday 00:00-24:00
  wednesday 00:00-24:00
  thursday 00:00-24:00
  friday 00:00-24:00
  saturday 00:00-24:00
  sunday 00:00-24:00
}
define contactgroup {
  contactgroup_name admins
  alias admins
  members operator
}
"""


def exported(site: Site, *arguments: str) -> str:
    command = [sys.executable, "-m", "inapp_monitor", "export", "--data-dir", str(site.data_dir)]
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(BINARY is None, reason="needs nagios4 (Debian's package nagios4-core)")
@pytest.mark.parametrize("passive", [False, True])
def test_nagios(tmp_path: Path, passive: bool) -> None:
    """Our objects are accepted; Nagios shows the fault and its end, and notifies of both."""
    nagios_dir = tmp_path / "nagios"
    notifiers = (
        f'[notifiers.nagios]\ntype = "nagios"\ncommand_file = "{nagios_dir}/nagios.cmd"\n'
        'host = "web1"\ninterval = "5s"\n'
        if passive
        else ""
    )
    with running(tmp_path / "site", notifiers) as site:
        plugin = (
            f"/usr/bin/env PYTHONPATH={ROOT} {sys.executable} -m inapp_monitor check"
            f" -u {site.url}/_metrics -a {site.directory}/token"
        )
        how = ["--passive"] if passive else ["--command", plugin]
        objects = exported(site, "--nagios", "--host", "web1", *how)
        # A minute is a second here: each service is checked each five.
        objects = objects.replace("interval          1", "interval          5")
        # And nothing is sent again after half of one.
        objects = objects.replace("contact_groups", "notification_interval 0\n    contact_groups")
        server = NagiosServer(nagios_dir, BASE_OBJECTS.format(host="web1") + ACTIVE + objects)
        assert "Total Errors:   0" in server.verify(), server.verify()
        with server:

            def shown(state: str) -> bool:
                fields = server.status().get("errors", {})
                return fields.get("current_state") == state and fields["has_been_checked"] == "1"

            server.wait(lambda: shown("0"), 60)
            site.break_it()
            server.wait(lambda: shown("2"), 90)
            assert "% of" in server.status()["errors"]["plugin_output"]
            assert "requests.errors=" in server.status()["errors"]["performance_data"]
            site.mend()
            server.wait(lambda: shown("0"), 120)
            sent = [what for service, what in server.notifications() if service == "errors"]
    assert sent == ["CRITICAL", "OK"]


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool (Debian's package prometheus)")
def test_promtool(tmp_path: Path) -> None:
    """`check rules` and `test rules` pass: the alert fires while requests fail, and only then."""
    assert PROMTOOL is not None
    with running(tmp_path / "site", "") as site:
        site.break_it()
        wait(lambda: site.status() == "CRITICAL", 60, "it is not found")
        (tmp_path / "rules.yml").write_text(exported(site, "--prometheus-rules"))
    (tmp_path / "test.yml").write_text(
        """
rule_files: [rules.yml]
evaluation_interval: 15s
tests:
  - interval: 15s
    input_series:
      - {series: http_request_errors_total, values: '0x20 1+2x20'}
      - {series: http_request_duration_seconds_count, values: '0+10x40'}
    alert_rule_test:
      - {eval_time: 4m, alertname: errors, exp_alerts: []}
      - eval_time: 9m
        alertname: errors
        exp_alerts:
          - exp_labels: {severity: critical, rule: errors}
            exp_annotations:
              summary: /pay fails
              description: requests.errors is 20 % of requests.time.count
"""
    )
    promtool(tmp_path)


def promtool(directory: Path) -> None:
    """Have `rules.yml` checked, and its expectations in `test.yml` tested."""
    assert PROMTOOL is not None
    for what in (["check", "rules", "rules.yml"], ["test", "rules", "test.yml"]):
        done = subprocess.run([PROMTOOL, *what], cwd=directory, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


ODD = 'a "b" \\ {{ $value }} {{ end\n- c: #\x00\x7f\x85\u2028\ud800 %s \U0001f642\U000e0001'
#: Rule, series by the minute, and what it says after ten minutes: level and description.
TRANSLATED = [
    (
        {"critical": "requests.errors > 5"},  # a minute has 6; the window of a minute
        {"http_request_errors_total": "0+6x10"},
        [("critical", "requests.errors is 6")],
    ),
    ({"critical": "requests.errors > 5"}, {"http_request_errors_total": "0+4x10"}, []),
    (
        {"critical": "requests.errors > 5", "window": "5min", "min_count": 60},
        {
            "http_request_errors_total": "0+6x10",
            "http_request_duration_seconds_count": "0+11x10",
        },
        [],  # not enough requests
    ),
    (
        {"critical": "errors > 5% of requests", "window": "5min", "min_count": 50},
        {
            "http_request_errors_total": "0+6x10",
            "http_request_duration_seconds_count": "0+12x10",
        },
        [("critical", "requests.errors is 50 % of requests.time.count")],
    ),
    (
        {"warning": "p95 > 300ms", "critical": "p95 > 900ms", "window": "5min"},
        {
            'http_request_duration_seconds_bucket{le="0.1"}': "0+9x10",
            'http_request_duration_seconds_bucket{le="0.8"}': "0+10x10",
            'http_request_duration_seconds_bucket{le="+Inf"}': "0+10x10",
        },
        [("warning", "requests.time.p95 is 450ms")],
    ),
    (
        {"target": "shop.depth", "warning": "10:20", "critical": "@30:40"},
        {"shop_depth": "0+3.5x10"},
        [("critical", "shop.depth is 35"), ("warning", "shop.depth is 35")],
    ),
    (
        {"target": "shop.depth", "critical": "no data for 5min"},
        {"shop_depth": "1x3 _x10"},
        [("critical", "no data of shop.depth for 300 s")],
    ),
    ({"target": "shop.depth", "critical": "no data for 5min"}, {"shop_depth": "1x6 _x4"}, []),
    (
        {"critical": "requests.errors > 5", "title": ODD, "runbook": ODD,
         "labels": {"rule": "x", "alertname": "y", "team": ODD}},
        {"http_request_errors_total": "0x10"},
        [],
    ),
]  # fmt: skip


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool (Debian's package prometheus)")
def test_translated_rules_say_the_same(tmp_path: Path) -> None:
    """Counters in windows shorter than two scrapes, least numbers of requests, percentiles, ranges
    inside and outside, missing data; texts that are templates, quotes and other lines."""
    rules, tests = [], []
    for number, (table, series, expected) in enumerate(TRANSLATED):
        name = f"r{number}"
        rules.append(Rule.parse(name, {"attempts": 1, **table}, "test"))
        alerts = [
            {
                "exp_labels": {"severity": level, "rule": name},
                "exp_annotations": {"summary": name, "description": text},
            }
            for level, text in expected
        ]
        tests.append(
            {
                "interval": "1m",
                "input_series": [{"series": each, "values": text} for each, text in series.items()],
                "alert_rule_test": [{"eval_time": "10m", "alertname": name, "exp_alerts": alerts}],
            }
        )
    (tmp_path / "rules.yml").write_text(prometheus_rules.document(rules, metrics))
    # JSON is YAML.
    tested = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "test.yml").write_text(json.dumps(tested))
    promtool(tmp_path)
