"""Signals tell other code what was seen, under the guard: a receiver can hurt nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import inapp_monitor
from inapp_monitor import Monitor


@pytest.fixture
def heard() -> Iterator[dict[str, list[dict[str, Any]]]]:
    """What each signal sent."""
    signals = inapp_monitor.signals
    names = ("request_finished", "not_found", "exception_captured", "issue_changed", "datapoint")
    log: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    receivers = []
    for name in names:

        def receive(sender: object, name: str = name, **facts: Any) -> None:
            log[name].append(facts)

        receivers.append((getattr(signals, name), receive))
        getattr(signals, name).connect(receive)
    yield log
    for signal, receive in receivers:
        signal.disconnect(receive)


def test_each_event_is_told_once(
    make: Callable[..., Monitor],
    visit: Callable[..., bytes],
    heard: dict[str, list[dict[str, Any]]],
) -> None:
    """A finished request, a 404, an exception, its issue, a datapoint."""
    monitor = make()
    visit(monitor, "/")
    visit(monitor, "/missing", HTTP_REFERER="http://shop.example/")
    with pytest.raises(ValueError, match="boom"):
        visit(monitor, "/boom")
    monitor.incr("signups", 3)
    monitor.refresh()
    assert [r["status"] for r in heard["request_finished"]][:2] == ["200 OK", "404 Not Found"]
    assert len(heard["request_finished"]) == 3
    assert all(r["duration_ms"] >= 0 for r in heard["request_finished"])
    assert heard["not_found"] == [{"path": "/missing", "referer": "http://shop.example/"}]
    assert [str(r["exception"]) for r in heard["exception_captured"]] == ["boom"]
    assert [r["what"] for r in heard["issue_changed"]] == ["new"]
    assert heard["issue_changed"][0]["issue_id"] == heard["exception_captured"][0]["issue_id"]
    assert {"path": "signups", "value": 3.0}.items() <= next(
        r for r in heard["datapoint"] if r["path"] == "signups"
    ).items()


def test_a_failing_receiver_is_counted_and_hurts_nobody(
    make: Callable[..., Monitor], visit: Callable[..., bytes]
) -> None:
    """The request is answered and recorded; the fault has the signal's name."""

    def broken(sender: object, **facts: Any) -> None:
        raise RuntimeError("receiver")

    signals = inapp_monitor.signals
    signals.request_finished.connect(broken)
    try:
        monitor = make()
        assert visit(monitor) == b"hello"
        monitor.refresh()
    finally:
        signals.request_finished.disconnect(broken)
    assert "receiver of request-finished" in monitor.guard.faults


def test_a_signal_of_the_app_becomes_a_breadcrumb(
    make: Callable[..., Monitor], visit: Callable[..., bytes]
) -> None:
    """What the app announced in a request stands beside the request's failure."""
    from blinker import signal

    emptied = signal("cart-emptied")
    receiver = inapp_monitor.breadcrumbs_from(emptied)

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        emptied.send("shop", items=3)
        raise ValueError("boom")

    monitor = make(app)
    try:
        with pytest.raises(ValueError, match="boom"):
            visit(monitor)
    finally:
        emptied.disconnect(receiver)
    monitor.refresh()
    detail = monitor.tracker.get_issue(monitor.tracker.list_issues()[0].id)
    assert detail is not None
    crumb = detail.events[0]["breadcrumbs"][0]
    assert (crumb["message"], crumb["data"]) == ("cart-emptied", {"items": "3"})
