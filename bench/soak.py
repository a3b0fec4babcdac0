"""Memory under a flood: many requests, distinct paths and bogus methods, counted exactly.

    python -m bench.soak [--requests 10000000] [--paths 100000] [--methods 10000] [--quick]
    python -m bench.soak --week [--quick]

Scanners invent paths and methods. Every request must be counted, and after the warm-up neither the
Python heap nor the resident size may grow with them. The heap is traced for the first tenth only,
because tracing makes everything several times slower. Ends with status 1 when a count is wrong or a
limit is passed. A hundred routes fit on the disk with all methods, so that this is about memory.
`--week` runs `bench.week` instead: a week of traffic with all that goes wrong in one.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import tracemalloc
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from bench import week
from inapp_monitor import Monitor

#: Bytes of heap that all the paths and methods may cost.
LIMIT_BYTES = 1_000_000
#: The second half may not add more than this to the heap.
GROWTH_BYTES = 200_000
#: Looks at the memory.
PARTS = 8


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Knows a few pages; everything else is not found."""
    known = environ["PATH_INFO"] in ("/", "/about")
    start_response("200 OK" if known else "404 Not Found", [("Content-Length", "2")])
    return [b"ok"]


def resident_bytes() -> int:
    """The process's resident size."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def path_is_the_route(environ: dict[str, Any]) -> str:
    """The worst `route=` there is: every path a route of its own."""
    return str(environ["PATH_INFO"])


def main() -> None:
    """Flood, then compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000_000)
    parser.add_argument("--paths", type=int, default=100_000)
    parser.add_argument("--methods", type=int, default=10_000)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the requests")
    parser.add_argument("--week", action="store_true", help="a week of traffic with faults in it")
    options = parser.parse_args()
    if options.week:
        week.main(quick=options.quick)
        return
    requests = options.requests // (100 if options.quick else 1)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        monitor = Monitor(
            application,
            data_dir=directory,
            token="soak-token",
            route=path_is_the_route,
            max_routes=100,
        )
        flood(monitor, 2_000, options.paths, options.methods)  # warm up: modules, threads, files
        load_everything(monitor)
        tracemalloc.start()
        base = tracemalloc.get_traced_memory()[0]
        part, heaps = requests // 10 // PARTS, []
        for number in range(PARTS):
            flood(monitor, part, options.paths, options.methods, number * part)
            settle(monitor)
            heaps.append(tracemalloc.get_traced_memory()[0] - base)
            megabytes = resident_bytes() / 1e6
            print(f"heap {heaps[-1] / 1e3:9.0f} KB   resident {megabytes:6.1f} MB", flush=True)
        tracemalloc.stop()
        seconds, sizes = 0.0, []
        for number in range(PARTS, 10 * PARTS):
            seconds += flood(monitor, part, options.paths, options.methods, number * part)
            if (number + 1) % PARTS == 0:
                settle(monitor)
                sizes.append(resident_bytes() / 1e6)
                print(
                    f"{part * (number + 1):9d} requests   resident {sizes[-1]:6.1f} MB", flush=True
                )
        recorder = monitor.recorder
        made = part * PARTS * 10 + 2_000
        counted = recorder.total_requests
        over = recorder.routes.overflowed
        dropped = recorder.dropped_requests
        print(f"{made} requests, {counted} counted, {over} as (other), {dropped} dropped")
        print(
            f"{seconds / (part * PARTS * 9) * 1e6:.1f} us a request, 404 table and pauses included"
        )
        monitor.close()
    if counted != made:
        raise SystemExit("requests were lost")
    if heaps[-1] > LIMIT_BYTES or heaps[-1] - heaps[PARTS // 2] > GROWTH_BYTES:
        raise SystemExit("the heap grew")
    if sizes[-1] > sizes[len(sizes) // 2] + 20.0:
        raise SystemExit("the resident size grew")


def load_everything(monitor: Monitor) -> None:
    """Wait until no module has been loaded for a while: what loads late is no growth."""
    loaded = 0
    while loaded < len(sys.modules):
        loaded = len(sys.modules)
        sleep(5.0)
        settle(monitor)


def settle(monitor: Monitor) -> None:
    """Wait until everything is folded, stored and collected."""
    while monitor.recorder.pending or monitor.recorder.not_found:
        monitor.refresh()
    monitor.refresh()
    gc.collect()


def flood(monitor: Monitor, requests: int, paths: int, methods: int, first: int = 0) -> float:
    """Seconds of that many requests, each with another path and method than the one before."""
    begin = perf_counter()
    for n in range(first, first + requests):
        if n % 10_000 == 0:  # faster than any server: let the background thread keep up
            sleep(0.05)
        environ = {
            "REQUEST_METHOD": f"M{n % methods}" if n % 3 == 0 else "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": f"/page/{n % paths}",
            "HTTP_REFERER": f"http://example.org/{n % paths}",
        }
        monitor(environ, lambda *_: None)
    return perf_counter() - begin


if __name__ == "__main__":
    main()
