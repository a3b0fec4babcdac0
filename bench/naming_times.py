"""How soon the overview names what is wrong: a real app under gunicorn with two workers, a client
that sends requests, and a look at `overview.json` twice a second.

    .venv/bin/python -m bench.naming_times [RUNS] [CASE ...]

For each fault: seconds from its begin to the first verdict that names it, the share of looks from
then to its end that did, seconds from its end until the verdict was gone, and whether the look back
names it. Median of the runs, and the worst. `WARM` seconds go by before the fault, at `RATE`
requests a second.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TOKEN = "naming-times-0123456789"
APP = """
import os, random, time
from pathlib import Path
from flask import Flask
from inapp_monitor import Monitor

app = Flask(__name__)
fault = Path(os.environ["FAULT"])

def on(name):
    try:
        return fault.read_text() == name
    except OSError:
        return False

@app.get("/")
def home():
    time.sleep(0.003)
    return "<a href=/gone.css>x</a>"

@app.get("/list")
def list_():
    time.sleep(0.8 if on("slow800") else 0.2 if on("slow200") else 0.003)
    return "list"

@app.post("/pay")
def pay():
    if on("fail"):
        raise RuntimeError("card declined")
    time.sleep(0.003)
    return "paid"

@app.get("/export")
def export():
    time.sleep(22 if on("hang") else 0.003)
    return "csv"

app.wsgi_app = Monitor(app.wsgi_app)
"""
_FIRST_LOOKS = 8
#: Name, what the verdict must say, seconds it may take, seconds it lasts.
CASES = {
    "slow800": ("/list", 15, 45),
    "slow200": ("/list", 30, 45),
    "fail": ("/pay", 5, 40),
    "missing": ("404", 10, 40),
    "hang": ("/export", 12, 22),
}


class Site:
    """The app, its server and its client."""

    def __init__(self, directory: Path, rate: float) -> None:
        self.directory, self.rate = directory, rate
        self.fault = directory / "fault"
        self.fault.write_text("")
        (directory / "naming_app.py").write_text(APP)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        environ = {
            **os.environ,
            "FAULT": str(self.fault),
            "INAPP_MONITOR_TOKEN": TOKEN,
            "INAPP_MONITOR_DATA_DIR": str(directory / "data"),
        }
        command = [sys.executable, "-m", "gunicorn", "-w", "2", "--threads", "6"]
        command += ["-b", f"127.0.0.1:{self.port}", "--log-level", "critical", "naming_app:app"]
        self.log = (directory / "log").open("wb")
        self.server = subprocess.Popen(
            command, cwd=directory, env=environ, stdout=self.log, stderr=self.log
        )
        self.ends = threading.Event()
        self.threads = [threading.Thread(target=self._send, daemon=True) for _ in range(3)]

    def start(self) -> None:
        for _ in range(100):
            try:
                self.ask("GET", "/")
                break
            except OSError:
                time.sleep(0.1)
        for thread in self.threads:
            thread.start()

    def _send(self) -> None:
        rng = random.Random()
        while not self.ends.is_set():
            time.sleep(rng.expovariate(self.rate / len(self.threads)))
            x = rng.random()
            try:
                if self.fault.read_text() == "missing" and x < 0.5:
                    self.ask("GET", "/gone.css", f"http://127.0.0.1:{self.port}/")
                elif x < 0.6:
                    self.ask("GET", "/list" if x < 0.3 else "/")
                elif x < 0.9:
                    self.ask("POST", "/pay")
                elif self.fault.read_text() != "hang":
                    self.ask("GET", "/export")
            except OSError:
                continue

    def ask(self, method: str, path: str, referer: str = "") -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {TOKEN}"} if path.startswith("/_metrics") else {}
        if referer:
            headers["Referer"] = referer
        try:
            connection.request(method, path, headers=headers)
            return connection.getresponse().read()
        finally:
            connection.close()

    def verdicts(self, query: str = "") -> list[dict[str, Any]]:
        found = json.loads(self.ask("GET", f"/_metrics/overview.json{query}"))
        return [each for each in found["verdicts"] if each["state"] in ("warn", "crit")]

    def close(self) -> None:
        self.ends.set()
        self.server.send_signal(signal.SIGTERM)
        try:
            self.server.wait(20)
        except subprocess.TimeoutExpired:
            self.server.kill()
        self.log.close()


def names(verdicts: list[dict[str, Any]], what: str) -> dict[str, Any] | None:
    """The verdict that names it; new issues are another matter."""
    for each in verdicts:
        if what in each["title"] and "issue" not in each["title"]:
            return each
    return None


def run(name: str, warm_s: float, rate: float) -> dict[str, Any]:
    """One fault in one life of the app."""
    what, _, lasts = CASES[name]
    with tempfile.TemporaryDirectory() as directory:
        site = Site(Path(directory), rate)
        try:
            site.start()
            time.sleep(warm_s)
            for _ in range(_FIRST_LOOKS):  # the pages of both workers are loaded by then
                early = site.verdicts()
            return {"early": [each["title"] for each in early], **follow(site, name, what, lasts)}
        finally:
            site.close()


def follow(site: Site, name: str, what: str, lasts: float) -> dict[str, Any]:
    begin = time.time()
    site.fault.write_text(name)
    if name == "hang":
        hanging = [lambda: site.ask("GET", "/export")] * 3
        for each in hanging:
            threading.Thread(target=_quietly(each), daemon=True).start()
    named = None
    looks = hits = 0
    words = ""
    while time.time() - begin < lasts:
        found = names(site.verdicts(), what)
        if found is not None and named is None:
            named = time.time() - begin
        if named is not None:
            looks += 1
            hits += found is not None
        if found is not None:
            words = f"{found['state']} {found['title']}: {found['detail']}"
        time.sleep(0.5)
    site.fault.write_text("")
    end = time.time()
    cleared = None
    while time.time() - end < 75:
        if names(site.verdicts(), what) is None:
            cleared = time.time() - end
            break
        time.sleep(0.5)
    back = site.verdicts(f"?from={int(begin) - 20}&until={int(end) + 5}")
    return {
        "named": named,
        "steady": hits / looks if looks else 0.0,
        "words": words,
        "cleared": cleared,
        "back": names(back, what) is not None,
        "back_words": (names(back, what) or {}).get("title"),
    }


def _quietly(call: Callable[[], object]) -> Callable[[], None]:
    def quiet() -> None:
        try:
            call()
        except OSError:
            pass

    return quiet


def main(arguments: list[str]) -> None:
    runs = int(arguments[0]) if arguments else 3
    warm_s = float(os.environ.get("WARM", "40"))
    rate = float(os.environ.get("RATE", "8"))
    for name in arguments[1:] or CASES:
        made = [run(name, warm_s, rate) for _ in range(runs)]
        delays = [each["named"] if each["named"] is not None else float("inf") for each in made]
        cleared = [
            each["cleared"] if each["cleared"] is not None else float("inf") for each in made
        ]
        steady = min(each["steady"] for each in made)
        backs = sum(each["back"] for each in made)
        early = [title for each in made for title in each["early"]]
        print(
            f"{name:8} wish {CASES[name][1]:3} s: named after {statistics.median(delays):5.1f} s"
            f" (worst {max(delays):5.1f}), steady {steady:.0%}, cleared after"
            f" {statistics.median(cleared):5.1f} s (worst {max(cleared):5.1f}), named by the look"
            f" back {backs}/{runs}, false before {early} | {made[-1]['words']}"
            f" | {made[-1]['back_words']}",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
