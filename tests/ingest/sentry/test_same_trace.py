"""One story: the error in the browser, the request that rendered the page, what failed there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor import Monitor
from inapp_monitor.ground.request_key import trace_of
from inapp_monitor.request.page_traces import PageTraces
from tests.environ import environ_of

from .captures import KEY, named
from .conftest import NOW, Installation, event_body

TRACE = "84439a6b66d846428d80e3f4869d3ad0"


@pytest.mark.parametrize(
    ("header", "trace"),
    [
        (f"00-{TRACE}-8f1579b62a6d007f-01", TRACE),
        (f"{TRACE}-8f1579b62a6d007f-1", TRACE),
        (f"{TRACE}-8f1579b62a6d007f", TRACE),
        (f"00-{'0' * 32}-8f1579b62a6d007f-01", ""),
        (TRACE, ""),
        ("", ""),
    ],
)
def test_a_trace_is_known_by_either_header(header: str, trace: str) -> None:
    """That of the W3C, and that of Sentry's SDKs."""
    assert trace_of(header) == trace


def answered(app: Any, **environ: str) -> tuple[dict[str, str], dict[str, Any]]:
    """The headers of an answer, and the environ that the application saw."""
    given = environ_of("/", **environ)
    sent: dict[str, str] = {}

    def start(_status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        sent.update(headers)

    app(given, start)
    return sent, given


def test_a_page_is_told_its_trace() -> None:
    """A new one, which the request carries from then on, or the one that it came with."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html")])
        return [environ.get("HTTP_TRACEPARENT", "").encode()]

    headers, environ = answered(PageTraces(app))
    made = trace_of(environ["HTTP_TRACEPARENT"])
    assert headers["Server-Timing"].startswith(f'sentry-trace;desc="{made}-')
    assert headers["Content-Type"] == "text/html"
    headers, environ = answered(PageTraces(app), HTTP_SENTRY_TRACE=f"{TRACE}-8f1579b62a6d007f-1")
    assert TRACE in headers["Server-Timing"]
    assert "HTTP_TRACEPARENT" not in environ


class Failing(Installation):
    """An application whose pages fail at `/fail`, with traces told to pages."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir, page_traces=True)
        self.monitor.close()

        def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
            if environ["PATH_INFO"] == "/fail":
                raise ValueError("no price")
            start_response("200 OK", [("Content-Type", "text/html")])
            return [b"<p>well"]

        self.monitor = Monitor(
            app, data_dir=data_dir, token="a-token-of-the-tests-0123456789", clock=self.clock,
            page_traces=True,
        )  # fmt: skip
        self.client.application = self.monitor
        self.keys.make("web", NOW, key=KEY)


def browser_error(trace: str) -> bytes:
    """What the browser sends about the page of a trace."""
    error = {"type": "TypeError", "value": "price is undefined"}
    contexts = {"trace": {"trace_id": trace, "span_id": "8f1579b62a6d007f"}}
    return event_body(
        exception={"values": [error]}, message=None, contexts=contexts, event_id="b" * 32
    )


def test_a_browser_error_leads_to_the_request_and_back(tmp_path: Path) -> None:
    """By the trace that the page was told."""
    shop = Failing(tmp_path / "data")
    page = shop.client.get("/page")
    trace = page.headers["Server-Timing"].partition('desc="')[2][:32]
    assert shop.send(browser_error(trace)).status_code == 200
    shop.tick()
    (issue,) = shop.page("/errors.json")["issues"]
    found = shop.page(f"/errors/{issue['id']}.json")["trace"]
    assert (found["id"], found["request"]["path"]) == (trace, "/page")
    with pytest.raises(ValueError, match="no price"):
        shop.client.get("/fail", headers={"sentry-trace": f"{trace}-8f1579b62a6d007f-1"})
    shop.tick()
    shop.tick()
    issues = {each["type"]: each for each in shop.page("/errors.json")["issues"]}
    behind = shop.page(f"/errors/{issues['ValueError']['id']}.json")["trace"]
    assert [each["type"] for each in behind["issues"]] == ["TypeError"]
    before = shop.page(f"/errors/{issues['TypeError']['id']}.json")["trace"]
    assert before["request"]["path"] == "/fail"
    assert [each["type"] for each in before["issues"]] == ["ValueError"]
    shop.monitor.close()


def test_attachments_and_logs_are_shown(installation: Installation) -> None:
    """Text that came with an event on its page, structured logs on the page of logs."""
    installation.replay(named("python/020"))
    installation.replay(named("python/021"))
    installation.tick()
    (issue,) = installation.page("/errors.json")["issues"]
    attachments = installation.page(f"/errors/{issue['id']}.json")["attachments"]
    stated = [payload for kind, payload in named("python/020").items if kind == "attachment"]
    assert attachments[0]["text"].encode() in stated
    (record,) = [
        row
        for row in installation.page("/logs.json?from=-1d")["records"]
        if row["logger"] == "sentry.web"
    ]
    assert record["text"] == "structured 1"
    assert json.dumps(record).count("6b60354a056b468e88b5c21b9e2e4ec8") == 1
