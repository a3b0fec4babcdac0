"""SDKs of Sentry from npm and PyPI, unmodified, report to a shop under gunicorn with two workers.

make compat ARGS='-k sentry_sdks'          (needs node, npm, Chromium and a registry)
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inapp_monitor.ingest.sentry.keys import Keys
from tests.browser.chromium import CHROMIUM, started
from tests.ports import number_of, reserve_port

pytestmark = [
    pytest.mark.compat,
    pytest.mark.peer,
    pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed"),
]
ROOT = Path(__file__).parents[2]
TOKEN = "sentry-sdks-token-0123456789"
PACKAGES = ("@sentry/browser", "@sentry/node", "raven@2", "esbuild")
SHOP_JS = """\
import * as Sentry from "@sentry/browser";

const settings = JSON.parse(document.getElementById("settings").textContent);
Sentry.init({
  ...settings,
  release: "web@1.0.0",
  integrations: [Sentry.browserTracingIntegration()],
  tracesSampleRate: 1,
});

function computePrice(order) {
  return order.items.map((item) => item.price);
}

function checkout() {
  Sentry.setTag("region", "eu");
  computePrice({});
}

document.getElementById("buy").addEventListener("click", checkout);
"""
#: Line of `order.items.map` in it.
LINE = 12
NODE_JS = """
const Sentry = require("@sentry/node");
Sentry.init({ dsn: process.argv[2], release: "worker@1.0.0", tracesSampleRate: 1 });
function loadOrder() { throw new RangeError("order 7 is too old"); }
Sentry.setUser({ id: "7", username: "jo" });
Sentry.startSpan({ name: "nightly", op: "task" }, () => {
  Sentry.startSpan({ name: "SELECT * FROM orders WHERE id = 7", op: "db" }, () => {});
  try { loadOrder(); } catch (error) { Sentry.captureException(error); }
});
Sentry.captureCheckIn({ monitorSlug: "nightly", status: "ok" });
Sentry.flush(20000).then((done) => { console.log("done", done); process.exit(0); });
"""
RAVEN_JS = """
const Raven = require("raven");
Raven.config(process.argv[2].replace("@", ":secret@"), { release: "old@1.0.0" }).install();
Raven.captureException(new TypeError("from raven"), (error, id) => {
  console.log(error ? String(error) : "done " + id);
  process.exit(0);
});
"""
PYTHON = """
import sys, sentry_sdk
sentry_sdk.init(dsn=sys.argv[1], release="job@1.0.0", enable_logs=True)
try:
    {}["price"]
except KeyError as error:
    sentry_sdk.capture_exception(error)
sentry_sdk.logger.warning("from the job")
sentry_sdk.flush(20)
"""


class Shop:
    """The shop on a port, and what its pages say."""

    def __init__(self, root: Path, data: Path, port: int, key: str) -> None:
        self.home = f"http://127.0.0.1:{port}"
        self.dsn = f"http://{key}@127.0.0.1:{port}/_metrics/sentry/1"
        self.root, self.data = root, data

    def page(self, path: str) -> Any:
        """A page's JSON twin."""
        request = urllib.request.Request(
            f"{self.home}/_metrics{path}", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def issues(self) -> list[dict[str, Any]]:
        """All issues."""
        found: list[dict[str, Any]] = self.page("/errors.json?from=-1d")["issues"]
        return found

    def issue(self, message: str) -> dict[str, Any]:
        """The issue of a message, waited for, with its latest event."""
        found = eventually(
            lambda: next((each for each in self.issues() if message in each["message"]), None)
        )
        detail: dict[str, Any] = self.page(f"/errors/{found['id']}.json")
        return detail


def eventually(look: Callable[[], Any]) -> Any:
    """What a look finds in the end."""
    deadline = time.monotonic() + 90
    while not (found := look()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.3)
    return found


@pytest.fixture(scope="module")
def npm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages, and a bundle of the shop's script."""
    folder = tmp_path_factory.mktemp("npm")
    (folder / "package.json").write_text('{"name": "shop", "private": true}')
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES]
    subprocess.run(command, cwd=folder, check=True, timeout=300, capture_output=True)
    (folder / "src").mkdir()
    (folder / "src/shop.js").write_text(SHOP_JS)
    bundle = [
        "node_modules/.bin/esbuild", "src/shop.js", "--bundle", "--minify", "--sourcemap",
        "--outfile=static/app.min.js",
    ]  # fmt: skip
    subprocess.run(bundle, cwd=folder, check=True, timeout=120, capture_output=True)
    (folder / "static/maps").mkdir()
    (folder / "static/app.min.js.map").rename(folder / "static/maps/app.min.js.map")
    return folder


@pytest.fixture(scope="module")
def shop(npm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Under gunicorn with two workers."""
    data = tmp_path_factory.mktemp("shop") / "data"
    data.mkdir()
    with reserve_port() as reserved:
        key = Keys(data).make("web", time.time())
        made = Shop(npm, data, number_of(reserved), key.key)
        environ = {
            **os.environ, "SHOP_DATA": str(data), "SHOP_TOKEN": TOKEN, "SHOP_DSN": made.dsn,
            "SHOP_STATIC": str(npm / "static"),
        }  # fmt: skip
        command = [sys.executable, "-m", "gunicorn", "-w", "2", "--threads", "4",
                   "-b", f"127.0.0.1:{number_of(reserved)}", "--reuse-port",
                   "tests.compat.sentry_site:application"]  # fmt: skip
        server = subprocess.Popen(command, cwd=ROOT, env=environ)
        try:
            eventually(lambda: answers(made.home))
            yield made
        finally:
            server.terminate()
            server.wait(60)


def answers(address: str) -> bool:
    """Whether somebody answers."""
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def foreign(shop: Shop) -> Iterator[str]:
    """A page of another origin with the shop's bundle."""
    static = shop.root / "static"
    settings = json.dumps({"dsn": shop.dsn})
    (static / "index.html").write_text(
        f'<!doctype html><script id="settings" type="application/json">{settings}</script>'
        '<button id="buy">buy</button><script src="/app.min.js"></script>'
    )
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(static))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def run(command: list[str], script: str, shop: Shop, name: str) -> str:
    """What a script prints; the DSN is its argument."""
    file = shop.root / name
    file.write_text(script)
    done = subprocess.run(
        [*command, str(file), shop.dsn], cwd=shop.root, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_node(shop: Shop) -> None:
    """Exception, user, the work's trace with its statement, a check-in."""
    assert "done true" in run(["node"], NODE_JS, shop, "job.js")
    event = shop.issue("order 7 is too old")["event"]
    assert (event["type"], event["platform"], event["release"]) == (
        "RangeError", "node", "worker@1.0.0",
    )  # fmt: skip
    assert event["user"]["username"] == "jo"
    assert event["exceptions"][0]["frames"][-1]["function"].endswith("loadOrder")
    trace = eventually(
        lambda: next(
            (row for row in shop.page("/traces.json?from=-1d")["traces"] if row["project"]), None
        )
    )
    assert (trace["route"], trace["method"], trace["trace"]) == (
        "nightly", "task", event["trace_id"],
    )  # fmt: skip
    rows = shop.page(f"/traces/{trace['id']}.json")["rows"]
    assert "SELECT * FROM orders WHERE id = ?" in [row["text"] for row in rows]
    assert "nightly" in json.dumps(eventually(lambda: shop.page("/check-ins.json")["jobs"]))


def test_raven(shop: Shop) -> None:
    """What old installations still have."""
    assert "done" in run(["node"], RAVEN_JS, shop, "old.js")
    event = shop.issue("from raven")["event"]
    assert (event["type"], event["platform"], event["release"]) == (
        "TypeError", "node", "old@1.0.0",
    )  # fmt: skip


def test_python(shop: Shop) -> None:
    """An exception and a log record."""
    pytest.importorskip("sentry_sdk")
    run([sys.executable], PYTHON, shop, "job.py")
    event = shop.issue("'price'")["event"]
    assert (event["type"], event["platform"], event["release"]) == (
        "KeyError", "python", "job@1.0.0",
    )  # fmt: skip
    eventually(lambda: "from the job" in json.dumps(shop.page("/logs.json?from=-1d")["records"]))


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_page_of_the_shop(shop: Shop) -> None:
    """The original place of a minified error, and the request that rendered the page."""
    with started() as browser:
        page = browser.new_page()
        page.goto(f"{shop.home}/")
        page.click("#buy")
        found = shop.issue("Cannot read properties of undefined")
        page.goto(f"{shop.home}/tunnelled")
        with page.expect_response("**/sentry/tunnel**") as answer:
            page.click("#buy")
        assert answer.value.status == 200
    event = found["event"]
    frame = event["exceptions"][0]["frames"][-1]
    assert (event["type"], event["platform"]) == ("TypeError", "javascript")
    assert frame["file"].endswith("src/shop.js")
    assert (frame["function"], frame["line"]) == ("computePrice", LINE)
    assert "order.items.map" in "\n".join(frame["source"]["lines"])
    assert event["tags"]["region"] == "eu"
    assert (found["trace"]["request"]["path"], found["trace"]["request"]["project"]) == ("/", "")


FETCH = """
async ([address, body]) => {
  try {
    const headers = { "X-Sentry-Auth": "Sentry sentry_version=7" };
    const answer = await fetch(address, { method: "POST", body, headers });
    return answer.status;
  } catch (error) { return "blocked"; }
}
"""


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_page_of_another_origin(shop: Shop, foreign: str) -> None:
    """Refused by Chromium and here, with and without a preflight; let in once it is allowed."""
    keys = Keys(shop.data)
    key = shop.dsn.partition("//")[2].partition("@")[0]
    address = f"{shop.home}/_metrics/sentry/api/1/envelope/?sentry_key={key}"
    body = '{}\n{"type":"event"}\n{"message":"from another origin"}'
    with started() as browser:
        page = browser.new_page()
        page.goto(f"{foreign}/")
        assert page.evaluate(FETCH, [address, body]) == "blocked"
        page.click("#buy")
        keys.set_limits(key, (foreign,), 600)
        assert page.evaluate(FETCH, [address, body]) == 200
        page.reload()
        with page.expect_response("**/envelope/**") as answer:
            page.click("#buy")
        assert answer.value.status == 200
    shop.issue("from another origin")
    refused = shop.page("/sdks.json")["counts"]["web"]["refused"]
    assert refused["origin"] >= 1
