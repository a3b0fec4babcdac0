"""What `make bench` ends with: one table of ours, each peer, the ratio, the goal and whether it is
met; and the page `docs/performance.md`, with the machine and the date.

    python -m bench.comparison RESULTS [--page docs/performance.md]

Each bench notes what has a peer or a goal, in the file that `BENCH_RESULTS` names.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

_HEAD = ("what", "ours", "peer", "peer's", "ratio", "goal", "")
_PAGE = """# Performance

What it costs, beside what does the same elsewhere, as `make bench` measured it. Each ratio is of
one run on one machine: ratios travel to other machines, times do not. On a machine that is busy
with other things all times are longer, and ratios scatter.

{machine}

{table}

`make bench` writes this page anew; `make bench BENCH="store query"` runs some of it and prints its
part of the table. What exactly is measured, and how, is at the top of each module of `bench/`.
"""


def note(
    what: str,
    ours: float,
    unit: str,
    *,
    peer: str = "",
    theirs: float | None = None,
    least: float | None = None,
    most: float | None = None,
    limit: str = "",
) -> None:
    """Keep a row for the table, if there will be one.

    Args:
        ours, theirs: What was measured, in `unit`; less is better.
        peer: Whose the other one is.
        least: The goal for theirs / ours.
        most: The goal for ours.
        limit: What the machine allows at best, beside a goal that is not met.
    """
    path = os.environ.get("BENCH_RESULTS")
    if not path:
        return
    row = {"what": what, "ours": ours, "unit": unit, "peer": peer, "theirs": theirs}
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps({**row, "least": least, "most": most, "limit": limit}) + "\n")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    ours, theirs, unit = row["ours"], row["theirs"], row["unit"]
    ratio = None if theirs is None else theirs / ours
    goal, met = "", ""
    if row["least"] is not None and ratio is not None:
        goal, is_met = f"≥ {row['least']:g} x", ratio >= row["least"]
        met = "met" if is_met else "not met"
    elif row["most"] is not None:
        goal, is_met = f"≤ {row['most']:g} {unit}", ours <= row["most"]
        met = "met" if is_met else "not met"
    shown = "" if theirs is None else f"{_number(theirs)} {unit}"
    ratio_shown = "" if ratio is None else f"{_number(ratio)} x"
    if met == "not met" and row["limit"]:
        met += f" ({row['limit']})"
    return row["what"], f"{_number(ours)} {unit}", row["peer"], shown, ratio_shown, goal, met


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(rows: list[dict[str, Any]]) -> str:
    """The table, which reads well as text and is Markdown."""
    lines = [_HEAD, *map(_cells, rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(_HEAD))]
    texts = [" | ".join(cell.ljust(w) for cell, w in zip(x, widths, strict=True)) for x in lines]
    rule = "-|-".join("-" * width for width in widths)
    return "\n".join(f"| {text} |" for text in (texts[0], rule, *texts[1:]))


def machine() -> str:
    """Where and when."""
    model = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
        load = f", load average {os.getloadavg()[2]:.1f} over the last quarter of an hour"
    except OSError:
        load = ""
    python = f"Python {platform.python_version()}, numpy {version('numpy')}"
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    return f"{day}: {model}, {os.cpu_count()} processors{load}; {platform.system()}, {python}."


def main() -> None:
    """Print the table; write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--page", type=Path, help="write it there as well")
    given = parser.parse_args()
    lines = given.results.read_text("utf-8").splitlines() if given.results.exists() else []
    rows = [json.loads(line) for line in lines]
    if not rows:
        return  # nothing that was measured has a peer or a goal
    made = table(rows)
    print(f"\n{machine()}\n\n{made}")
    if given.page:
        given.page.write_text(_PAGE.format(machine=machine(), table=made), "utf-8")


if __name__ == "__main__":
    main()
