"""What docs/ingest.md says is done to the letter; only ports and directories are the test's own."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from inapp_monitor import Monitor
from inapp_monitor.ingest.protocols.registry import PROTOCOLS
from inapp_monitor.ingest.protocols.statsd_flush import OPTION_NAMES
from tests.ingest.conftest import total, until
from tests.ingest.test_listening import open_door
from tests.ports import number_of, reserve_port

PAGE = (Path(__file__).parents[2] / "docs" / "ingest.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.M | re.S)


class Installation:
    """A monitor with the doors of the page, and its texts with this test's ports and paths."""

    def __init__(self, make: Callable[..., Monitor], directory: Path) -> None:
        self._directory = directory
        self._ports: dict[str, str] = {}
        with reserve_port() as a, reserve_port() as b, reserve_port() as c:
            for port, own in (("8125", a), ("2003", b), ("2004", c)):
                self._ports[port] = str(number_of(own))
        (setting,) = [text for kind, text in BLOCKS if kind == "toml"]
        self.listen = tomllib.loads(self.text(setting))["listen"]
        self.monitor = make(listen=self.listen, data_dir=directory / "data")
        for address in self.listen:
            open_door(self.monitor, address)

    def text(self, text: str) -> str:
        text = text.replace("/run/app", str(self._directory))
        text = text.replace('".inapp_monitor"', repr(str(self._directory / "data")))
        text = text.replace(" .inapp_monitor ", f" {self._directory / 'data'} ")
        text = text.replace("inapp-monitor run", f"{sys.executable} -m inapp_monitor run")
        return re.sub(r"\b(8125|2003|2004)\b", lambda match: self._ports[match[0]], text)


@pytest.fixture
def installation(make: Callable[..., Monitor], tmp_path: Path) -> Installation:
    return Installation(make, tmp_path)


def test_each_line_for_a_shell_arrives(installation: Installation) -> None:
    """In the series that the page names."""
    shells = [(kind, text) for kind, text in BLOCKS if kind in ("sh", "bash")]
    assert len(shells) >= 5
    for kind, text in shells:
        (series,) = re.findall(r"^# arrives as (\S+)$", text, re.M)
        subprocess.run([kind, "-c", installation.text(text)], timeout=30, check=True)
        until(lambda series=series: total(installation.monitor, series) > 0, series)


def test_each_python_of_the_package_arrives(installation: Installation) -> None:
    """The verbs, and a recording."""
    own = [text for kind, text in BLOCKS if kind == "python" and "inapp_monitor" in text]
    assert len(own) == 2
    for text in own:
        exec(compile(installation.text(text), "docs/ingest.md", "exec"), {"__name__": "documented"})
    installation.monitor.refresh()
    for series in ("orders", "jobs;queue=mail", "rows.imported", "jobs.nightly.runs"):
        assert total(installation.monitor, series) > 0, series


@pytest.mark.parametrize(
    ("library", "series"), [("statsd", "shop.orders"), ("datadog", "orders;shop=berlin")]
)
def test_each_client_of_statsd_arrives(
    installation: Installation, library: str, series: str
) -> None:
    """The real ones from PyPI."""
    pytest.importorskip(library)
    texts = [text for kind, text in BLOCKS if kind == "python" and "inapp_monitor" not in text]
    (text,) = [t for t in texts if f"{library} import" in t or f"import {library}\n" in t]
    script = installation.text(text) + "\nimport time; time.sleep(0.5)\n"
    subprocess.run([sys.executable, "-c", script], timeout=30, check=True)
    until(lambda: total(installation.monitor, series) > 0, series)


def test_the_page_names_all_protocols_and_options() -> None:
    """A further one is documented."""
    pages = PAGE + (Path(__file__).parents[2] / "docs" / "agents.md").read_text("utf-8")
    known = [name for name in PROTOCOLS if f"`{name}`" in pages or f"{name}://" in pages]
    assert known == list(PROTOCOLS)
    assert [name for name in OPTION_NAMES if name not in PAGE] == []


def test_the_page_names_all_reasons() -> None:
    """Every reason that the code of the page's protocols gives is explained."""
    room = Path(__file__).parents[2] / "inapp_monitor" / "ingest"
    agents = {"collectd.py", "collectd_names.py", "collectd_putval.py", "ganglia.py", "influx.py"}
    agents |= {"json_points.py", "prometheus_text.py"}
    modules = [*room.glob("*.py"), *(room / "protocols").glob("*.py"), *room.glob("listeners/*.py")]
    sources = "".join(m.read_text("utf-8") for m in modules if m.name not in agents)
    reasons = set(re.findall(r'(?:RejectedError|reject|refuse)\("(\w+)"', sources))
    explained = set(re.findall(r"`(\w+)`", PAGE.partition("## What is refused")[2]))
    assert reasons - explained - {"event", "check", "part_of_line"} == set()
