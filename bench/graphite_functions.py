"""The peer's half of `bench/query.py`: graphite-web's own functions on the same numbers.

Runs in the environment of graphite-web, reads a JSON request on standard input, and prints a JSON
object of seconds. Functions get copies, made outside of the measured time.
"""

from __future__ import annotations

import json
import random
import sys
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Any


def main() -> None:
    request = json.load(sys.stdin)
    root = Path(request["root"])
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests/compat/graphite"))
    import django_app

    django_app.prepare(root)
    from graphite.render import functions, grammar
    from graphite.render.datalib import TimeSeries
    from graphite.render.views import renderViewJson

    step, start, points = request["step"], request["start"], request["points"]

    def series(extra: int = 0) -> list[Any]:
        rng = random.Random(1)
        made = []
        for i in range(request["series"]):
            values = [
                None if rng.random() < 0.1 else rng.randrange(100_000) / 100
                for _ in range(points + extra)
            ]
            name = f"servers.web{i}.group{i % 50}.cpu"
            first = start - extra * step
            made.append(TimeSeries(name, first, start + points * step, step, values))
            made[-1].pathExpression = "servers.*.*.cpu"
        return made

    context = {
        "startTime": datetime.fromtimestamp(start, UTC),
        "endTime": datetime.fromtimestamp(start + points * step, UTC),
        "args": [None],
        "xFilesFactor": 0,
        "data": [],
    }
    seconds = {}
    for name, (function, arguments, extra) in request["functions"].items():
        given, preview = series(), series(extra) if extra else []
        functions.evaluateTarget = lambda *_, preview=preview: preview
        begin = process_time()
        for result in functions.SeriesFunctions[function](context, given, *arguments):
            list(result)  # values can be lazy
        seconds[name] = process_time() - begin
    seconds["parse"] = _parsing(grammar.grammar, request["targets"])
    answer = series()[:100]
    begin = process_time()
    renderViewJson({}, answer)
    seconds["json"] = process_time() - begin
    print(json.dumps(seconds))


def _parsing(grammar: Any, targets: list[str]) -> float:
    begin = process_time()
    for target in targets:
        grammar.parseString(target)
    return process_time() - begin


if __name__ == "__main__":
    main()
