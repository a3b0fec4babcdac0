"""graphite-web in cluster mode in front of a server of ours: its functions, our series.

    cluster.py GRAPHITE_ROOT BASE_URL SETUP.json GOLDEN.jsonl...

Runs in the environment that `venv.sh` made. graphite-web renders every recorded target and
asks BASE_URL for the series; what differs from the recorded answer is printed. Exit status 0 if
nothing does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import django_app

NOW = 1_700_000_000
#: These ask the machine's clock, which was frozen when the answers were recorded.
CLOCK = ("timeSlice", "linearRegression", 'verticalLine("-')


def same(a: Any, b: Any, tolerance: float) -> bool:
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return bool(a == b or abs(a - b) <= tolerance * max(abs(a), abs(b)))
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key], tolerance) for key in a)
    return bool(a == b)


def main() -> int:
    root, base, setup, *files = sys.argv[1:]
    client = django_app.prepare(Path(root), servers=[f"{base.rstrip('/')}/?format=pickle"])
    for event in json.loads(Path(setup).read_text("utf-8"))["setup"]["events"]:
        client.post("/events/", json.dumps(event), content_type="application/json")
    equal, different, skipped = 0, 0, 0
    for line in (line for file in files for line in Path(file).read_text("utf-8").splitlines()):
        case = json.loads(line)
        targets = case["targets"] if "targets" in case else [case["target"]]
        if "expected" not in case or any(word in str(targets) for word in CLOCK):
            skipped += 1
            continue
        query = {"target": targets, "from": case["from"], "until": case["until"], "now": NOW,
                 "format": "json", **case.get("params", {})}  # fmt: skip
        if "maxDataPoints" in case:
            query["maxDataPoints"] = case["maxDataPoints"]
        answer = client.get("/render", query)
        got = json.loads(answer.content) if answer.status_code == 200 else answer.content[-300:]
        if same(got, case["expected"], 1e-8 if "holtWinters" in str(targets) else 1e-12):
            equal += 1
        else:
            different += 1
            print("DIFFERENT", case["id"], targets, str(got)[:300])
    print(f"equal {equal} different {different} skipped {skipped}")
    return 1 if different or not equal else 0


if __name__ == "__main__":
    sys.exit(main())
