"""An application that has sentry_sdk: it reports each failure once, whoever sees it first."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor import Monitor
from inapp_monitor.export.application_sdk import ApplicationSdk
from tests.export.conftest import visit

sentry_sdk = pytest.importorskip("sentry_sdk")


class Reports(list[Any]):
    """What the SDK would have sent: the values of exceptions, and of what was no exception."""

    def values(self) -> list[str]:
        """One text an event."""
        return [
            event["exception"]["values"][-1]["value"] if "exception" in event else "a message"
            for event in self
        ]


@pytest.fixture
def reports() -> Iterator[Reports]:
    """An SDK that is set up as applications do, and undone."""
    from sentry_sdk.scope import global_event_processors
    from sentry_sdk.transport import Transport

    found = Reports()

    class Kept(Transport):  # type: ignore[misc]
        def capture_envelope(self, envelope: Any) -> None:
            if (event := envelope.get_event()) is not None:
                found.append(event)

    processors = list(global_event_processors)
    handlers = logging.Logger.callHandlers
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:1/1", transport=Kept(), default_integrations=False,
        auto_enabling_integrations=False,
    )  # fmt: skip
    yield found
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)
    global_event_processors[:] = processors
    assert logging.Logger.callHandlers is handlers


def failure(text: str) -> Exception:
    """One with a traceback."""
    try:
        raise ValueError(text)
    except ValueError as error:
        return error


def test_what_the_sdk_has_seen_is_not_handed_over(reports: Reports) -> None:
    """Nor does it report what it was given; another failure of the same object is another one."""
    ours = ApplicationSdk()
    seen, given = failure("seen"), failure("given")
    sentry_sdk.capture_exception(seen)
    ours.hand_over(seen)
    ours.hand_over(given)
    sentry_sdk.capture_exception(given)
    in_thread = threading.Thread(target=sentry_sdk.capture_exception, args=(given,))
    in_thread.start()
    in_thread.join()
    assert reports.values() == ["seen", "given"]
    sentry_sdk.capture_message("hello")
    sentry_sdk.capture_exception(failure("later"))
    assert reports.values() == ["seen", "given", "a message", "later"]
    assert (ours.sent, ours.dropped, ours.last_error) == (1, 0, "")
    assert vars(seen) == vars(given) == {}


def test_without_the_sdk_set_up_the_loss_is_counted() -> None:
    """The application goes on; the status page names the reason."""
    ours = ApplicationSdk()
    ours.hand_over(failure("x"))
    assert (ours.sent, ours.dropped) == (0, 1)
    assert "sentry_sdk.init" in ours.last_error


def test_an_sdk_that_fails_reaches_nobody(
    reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it raises is counted as a loss."""

    def fails(error: BaseException) -> None:
        raise RuntimeError("broken SDK")

    monkeypatch.setattr(sentry_sdk, "capture_exception", fails)
    ours = ApplicationSdk()
    ours.hand_over(failure("x"))
    assert (ours.sent, ours.dropped, ours.last_error) == (0, 1, "RuntimeError: broken SDK")
    assert not reports


def reporting_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Fails, and at some addresses reports that to the SDK itself."""
    try:
        raise ValueError(environ["PATH_INFO"])
    except ValueError as error:
        if environ["PATH_INFO"] == "/reports":
            sentry_sdk.capture_exception(error)
        raise


def test_an_application_that_fails_is_reported_once_a_failure(
    reports: Reports, data_dir: Path
) -> None:
    """By the running monitor, from the first request on; the status page shows how many."""
    monitor = Monitor(
        reporting_app, data_dir=data_dir, token="0123456789", collect_process=False,
        collect_host=False, forward="sentry_sdk", flush_interval_s=0.05,
    )  # fmt: skip
    try:
        visit(monitor, "/silent", "/reports")
        _wait_for(lambda: len(reports) >= 2)
        visit(monitor, "/silent", "/reports")
        _wait_for(lambda: len(reports) >= 4)
        assert sorted(reports.values()) == ["/reports", "/reports", "/silent", "/silent"]
        exporting = monitor.life.services.exporting
        assert exporting is not None
        (row,) = exporting.rows()
        assert row["destination"] == "sentry_sdk (this worker)"
        assert (row["state"], row["sent"], row["dropped"]) == ("ok", 2, 0)
    finally:
        monitor.close()


def _wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if condition():
            return
        threading.Event().wait(0.02)
    raise AssertionError("it did not happen")
