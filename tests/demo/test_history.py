"""The made-up past: the same for the same seed, complete, and never over data of somebody."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from werkzeug.test import Client

from demo_app import history
from inapp_monitor.cli.serving import stored_backend
from inapp_monitor.web.app import WebApp

END = int(time.time()) - 10
SPAN_S = 7_200
#: The counts and the issues, as the dashboard tells them.
ASKED = "/render?target=requests.status.*&target=requests.errors&from={}&until={}&format=json"


def numbers(data_dir: Path) -> tuple[object, object]:
    """What a reader of the directory sees of it."""
    backend = stored_backend(data_dir, may_write=False)
    client = Client(WebApp(backend, authorizer=lambda _: True))
    counts = json.loads(client.get(ASKED.format(END - SPAN_S, END)).text)
    issues = [(i.type, i.count, i.first_seen) for i in backend.triage.list_issues()]
    return counts, issues


@pytest.mark.slow
def test_the_same_seed_gives_the_same_past(tmp_path: Path) -> None:
    """To the last count; another seed gives another one."""
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        history.write(tmp_path / name, days=0.02, seed=seed, end=END, fault=True)
    first, second, third = (numbers(tmp_path / name) for name in "abc")
    assert first == second
    assert first != third
    counts, issues = first
    assert {series["target"] for series in counts} >= {"requests.status.2xx", "requests.errors"}
    assert "PaymentProviderError" in {row[0] for row in issues}
    answered = next(s["datapoints"] for s in counts if s["target"] == "requests.status.2xx")
    values = [value for value, _ in answered[:-1]]
    begin = next(at for at, value in enumerate(values) if value)
    assert all(values[begin:]), "a step without requests"


def test_data_that_is_there_stays(tmp_path: Path) -> None:
    """One line, exit status 2, nothing touched."""
    history.write(tmp_path, days=0.01, end=END)
    with pytest.raises(FileExistsError, match="holds data already"):
        history.write(tmp_path, days=0.01, end=END)
    assert history.main([str(tmp_path)]) == 2
