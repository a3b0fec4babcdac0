"""How soon the demo's overview names the causes of its bad deploy, and that it names none before.

    python -m bench.naming_causes [--healthy 120] [--within 20]

Starts the demo on a free port with its visitors; a bad deploy comes after `--healthy` seconds: a
slow statement in the search, a payment provider that takes its time, a cart that computes, and a
statement for each product of a category. `overview.json` is read once a second. Prints when each
cause was named first, in seconds since its begin; fails when one was named before its time or is
missing `--within` seconds after it.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

#: What must be named, by the words that stand for it.
CAUSES = {
    "slow statement": re.compile(r"SELECT max\(likeness\(name"),
    "slow host": re.compile(r"GET 127\.0\.0\.1"),
    "own function": re.compile(r"suggest_goods"),
    "N+1": re.compile(r"N\+1"),
}
#: Seconds after the first cause was due in which all else is still waited for.
PATIENCE_S = 60.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def read(port: int, token: str, path: str) -> str:
    """A page of the dashboard; empty while there is none."""
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/_metrics{path}")
    asked.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return str(answer.read().decode())
    except (OSError, urllib.error.URLError):
        return ""


def verdicts(port: int, token: str) -> str:
    """What the overview says is wrong, as text."""
    text = read(port, token, "/overview.json")
    if not text:
        return ""
    found = json.loads(text)
    return json.dumps([each for each in found.get("verdicts", []) if each["state"] != "ok"])


def watch(port: int, token: str, healthy_s: float, within_s: float) -> bool:
    """Read the overview until all causes are named. Returns whether each was in time."""
    begin = time.monotonic()
    named: dict[str, float] = {}
    while time.monotonic() - begin < healthy_s + within_s + PATIENCE_S:
        said, at = verdicts(port, token), time.monotonic() - begin - healthy_s
        for cause, words in CAUSES.items():
            if cause not in named and words.search(said):
                named[cause] = at
                print(f"{at:7.1f} s  {cause}", flush=True)
        if len(named) == len(CAUSES):
            break
        time.sleep(1.0)
    for cause in CAUSES:
        if cause not in named:
            print(f"   never   {cause}")
    return all(0.0 <= named.get(cause, -1.0) <= within_s for cause in CAUSES)


def main() -> None:
    """Run the demo, and say whether all was named in time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--healthy", type=float, default=120.0)
    parser.add_argument("--within", type=float, default=20.0)
    arguments = parser.parse_args()
    folder, port = Path(tempfile.mkdtemp()), free_port()
    command = [sys.executable, "-m", "demo_app", "--port", str(port), "--data-dir", str(folder)]
    command += ["--fault", str(arguments.healthy)]
    demo = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (tokens := list(folder.rglob("token"))) and demo.poll() is None:
            time.sleep(0.2)
        token = tokens[0].read_text().strip()
        is_good = watch(port, token, arguments.healthy, arguments.within)
    finally:
        demo.terminate()
        demo.wait(60)
    print("all named in time, none before" if is_good else "not as it should be")
    sys.exit(not is_good)


if __name__ == "__main__":
    main()
