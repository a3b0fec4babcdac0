"""Writes `tests/data/store/format-1/`: run once, when format 1 was made; never again.

    PYTHONPATH=. python -m tests.store.make_golden

The files stay readable for ever; `test_golden.py` proves it.
"""

from __future__ import annotations

import gzip
import math
from pathlib import Path

from inapp_monitor.ground.points import Method
from tests.store.conftest import START, Bench

RETENTION = "10s:10m,1m:2h,10m:1d"
TARGET = Path(__file__).parent.parent / "data" / "store" / "format-1"
METHODS = tuple(Method)


def record(bench: Bench) -> None:
    """An hour of every kind of value, with gaps and a late point."""
    for number in range(360):
        for method in METHODS:
            if number % 5 != method % 5:
                value = math.sin(number / 7) * 100 + method
                bench.put(f"golden.{method.name.lower()}", value, method=method)
        bench.put("golden.ünï", 1)
        bench.observe("golden.time", [1.0 + number % 13, 250.0 + number, 0.25])
        bench.store.flush()
        bench.wait(10)
    bench.put("golden.sum", 1_000, at=START + 600)
    bench.store.flush()


def main() -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory), retention=RETENTION, distribution_retention=RETENTION)
        record(bench)
        bench.store.close()
        TARGET.mkdir(parents=True, exist_ok=True)
        for path in (Path(directory) / "store").iterdir():
            data = gzip.compress(path.read_bytes(), 9, mtime=0)
            (TARGET / f"{path.name}.gz").write_bytes(data)


if __name__ == "__main__":
    main()
