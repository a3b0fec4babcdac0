"""`python -m tests.ingest.sentry.shop_with_sdk SCENARIO DIRECTORY`: a Flask application that has
both a monitor and an SDK, in a process of its own: the SDK patches what it finds. Prints JSON.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from pathlib import Path
from typing import Any

import sentry_sdk
from flask import Flask

from inapp_monitor import Monitor
from inapp_monitor.ingest.sentry.keys import Keys

TOKEN = "a-token-of-the-tests-0123456789"
#: Requests after which a loop is one.
MOST = 12

app = Flask("shop")


@app.get("/boom/<int:number>")
def boom(number: int) -> str:
    """Fails, with what the SDK knows about the request."""
    sentry_sdk.set_tag("basket", "large")
    sentry_sdk.set_user({"id": "7"})
    sentry_sdk.add_breadcrumb(category="cart", message="opened")
    raise LookupError(f"no article {number}")


@app.get("/logged")
def logged() -> str:
    """Logs errors, with and without an exception."""
    logging.getLogger("shop").error("order %s failed", 7)
    try:
        raise KeyError("price")
    except KeyError:
        logging.getLogger("shop").exception("no price")
    sentry_sdk.capture_message("odd basket", level="warning")
    return "well"


class Posting(sentry_sdk.transport.Transport):
    """Keeps envelopes, to be posted in another thread, as the SDK does."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[bytes] = []
        self.posted = 0

    def capture_envelope(self, envelope: Any) -> None:
        """Keep one."""
        self.waiting.append(envelope.serialize())

    def post_all(self, key: str) -> None:
        """Post what waits, and what comes of that, to this very application."""

        def post(body: bytes) -> None:
            path = "/_metrics/sentry/api/1/envelope/"
            answer = app.test_client().post(path, data=body, query_string={"sentry_key": key})
            assert answer.status_code == 200, answer.text

        while self.waiting and self.posted < MOST:
            self.posted += 1
            thread = threading.Thread(target=post, args=(self.waiting.pop(0),))
            thread.start()
            thread.join()


def main(scenario: str, directory: str) -> None:
    """Run a scenario and print what the pages show."""
    monitor = Monitor(app.wsgi_app, data_dir=Path(directory), token=TOKEN)
    app.wsgi_app = monitor  # type: ignore[method-assign]
    client = app.test_client()
    client.get("/")
    monitor.refresh()
    posting = Posting()
    transport = posting if scenario == "loop" else monitor.sentry_transport()
    sentry_sdk.init(transport=transport, traces_sample_rate=1.0, auto_session_tracking=False)
    for path in {"logged": ["/logged"]}.get(scenario, ["/boom/3", "/boom/4"]):
        client.get(path)
    if scenario == "loop":
        posting.post_all(Keys(Path(directory)).make("self", 1.0).key)

    def page(path: str) -> Any:
        monitor.refresh()
        return client.get(f"/_metrics{path}", headers={"Authorization": f"Bearer {TOKEN}"}).json

    issues = page("/errors.json")["issues"]
    events = [page(f"/errors/{issue['id']}.json")["event"] for issue in issues]
    counts = page("/sdks.json")["counts"]
    sys.stdout.write(json.dumps([issues, events, counts, posting.posted]) + "\n")
    monitor.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
