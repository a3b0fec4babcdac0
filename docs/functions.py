"""Writes `docs/functions.md` and one picture for each function from the registry.

    python docs/functions.py

Everything comes from the registry and from fixed data: the same code writes the same bytes.
"""

from __future__ import annotations

import math
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.ranges import DistributionRange
from inapp_monitor.query.evaluate import evaluate
from inapp_monitor.query.max_points import fit
from inapp_monitor.query.memory_source import MemorySource
from inapp_monitor.query.registry import FUNCTIONS, Function, Param
from inapp_monitor.query.request import RenderRequest
from inapp_monitor.web.graphite.formats.options import Options
from inapp_monitor.web.graphite.formats.registry import FORMATS

HERE = Path(__file__).parent
END = 1_700_000_100
START = END - 3 * 3600
STEP = 60

_SERIES = "servers.*.cpu"
#: What the arguments after the series are in the example, by function or by type of parameter.
_EXAMPLES = {
    "aggregateSeriesLists": "aggregateSeriesLists(servers.*.cpu, servers.*.disk, 'sum')",
    "alias": "alias(servers.web1.cpu, 'the first')",
    "aliasQuery": "aliasQuery(servers.*.cpu, 'cpu', 'disk', 'disk at %d')",
    "aliasSub": r"aliasSub(servers.*.cpu, 'servers\.(\w+)\.cpu', '\1')",
    "applyByNode": "applyByNode(servers.*.cpu, 1, 'diffSeries(%.disk,%.cpu)', '%')",
    "areaBetween": "areaBetween(servers.{web1,web3}.cpu)",
    "averageOutsidePercentile": "averageOutsidePercentile(servers.*.cpu, 75)",
    "constantLine": "constantLine(42)",
    "events": "events('deploy')",
    "exclude": "exclude(servers.*.cpu, 'web2')",
    "fallbackSeries": "fallbackSeries(servers.none.cpu, servers.web1.cpu)",
    "filterSeries": "filterSeries(servers.*.cpu, 'max', '>', 60)",
    "grep": "grep(servers.*.cpu, 'web[12]')",
    "groupByTags": "groupByTags(seriesByTag('name=disk.used'), 'sum', 'dc')",
    "groupByNode": "groupByNode(servers.*.*, 2, 'sum')",
    "groupByNodes": "groupByNodes(servers.*.*, 'max', 1)",
    "aliasByTags": "aliasByTags(seriesByTag('name=disk.used'), 'dc')",
    "heatmap": "heatmap(requests.time, 8)",
    "highest": "highest(servers.*.cpu, 1, 'max')",
    "holtWintersAberration": "holtWintersAberration(servers.web1.cpu, 3, '2h', '30min')",
    "holtWintersConfidenceArea": "holtWintersConfidenceArea(servers.web1.cpu, 3, '2h', '30min')",
    "holtWintersConfidenceBands": "holtWintersConfidenceBands(servers.web1.cpu, 3, '2h', '30min')",
    "holtWintersForecast": "holtWintersForecast(servers.web1.cpu, '2h', '30min')",
    "legendValue": "legendValue(servers.*.cpu, 'last', 'max')",
    "linearRegression": "linearRegression(servers.web3.cpu)",
    "map": "reduceSeries(map(servers.*.*, 1), 'divideSeries', 2, 'cpu', 'disk')",
    "minimumAbove": "minimumAbove(servers.*.cpu, 10)",
    "averageAbove": "averageAbove(servers.*.cpu, 30)",
    "averageBelow": "averageBelow(servers.*.cpu, 40)",
    "currentAbove": "currentAbove(servers.*.cpu, 30)",
    "currentBelow": "currentBelow(servers.*.cpu, 40)",
    "maximumBelow": "maximumBelow(servers.*.cpu, 60)",
    "limit": "limit(servers.*.cpu, 2)",
    "mapSeries": "reduceSeries(mapSeries(servers.*.*, 1), 'divideSeries', 2, 'cpu', 'disk')",
    "pow": "pow(servers.web1.cpu, 2)",
    "randomWalk": "scale(randomWalk('a walk'), 0)",
    "randomWalkFunction": "scale(randomWalkFunction('a walk'), 0)",
    "reduce": "reduce(map(servers.*.*, 1), 'divideSeries', 2, 'cpu', 'disk')",
    "reduceSeries": "reduceSeries(mapSeries(servers.*.*, 1), 'divideSeries', 2, 'cpu', 'disk')",
    "removeBetweenPercentile": "removeBetweenPercentile(servers.*.cpu, 30)",
    "seriesByTag": "seriesByTag('name=disk.used', 'dc=~eu.*')",
    "sigmoid": "sigmoid(offset(scale(servers.web1.cpu, 0.1), -4))",
    "exp": "exp(scale(servers.web1.cpu, 0.05))",
    "logit": "logit(scale(servers.web1.cpu, 0.01))",
    "sin": "sin('sine', 2, 60)",
    "sinFunction": "sinFunction('sine', 2, 60)",
    "threshold": "threshold(60, 'too much', 'red')",
    "timeSlice": "timeSlice(servers.web1.cpu, '21:00_20231114', '21:40_20231114')",
    "timeShift": "timeShift(servers.web1.cpu, '1h')",
    "timeStack": "timeStack(servers.web1.cpu, '1h', 0, 3)",
    "useSeriesAbove": "useSeriesAbove(servers.*.cpu, 70, 'cpu', 'disk')",
    "verticalLine": "verticalLine('21:30_20231114', 'deploy', 'purple')",
    "weightedAverage": "weightedAverage(servers.*.cpu, servers.*.disk, 1)",
    "consolidateBy": "consolidateBy(servers.web1.cpu, 'max')",
    "divideSeries": "divideSeries(servers.*.cpu, servers.web3.disk)",
    "keepLastValue": "keepLastValue(servers.gaps.load)",
    "interpolate": "interpolate(servers.gaps.load)",
    "transformNull": "transformNull(servers.gaps.load, 10)",
    "isNonNull": "isNonNull(servers.gaps.load)",
    "compressPeriodicGaps": "compressPeriodicGaps(servers.rare.load)",
    "derivative": "derivative(counters.sent)",
    "nonNegativeDerivative": "nonNegativeDerivative(counters.sent)",
    "perSecond": "perSecond(counters.sent)",
    "hitcount": "hitcount(servers.web1.cpu, '10min')",
    "stdev": "stdev(servers.web1.cpu, 10)",
    "substr": "substr(servers.*.cpu, 1, 2)",
    "removeEmptySeries": "removeEmptySeries(servers.*.*)",
    "aggregateWithWildcards": "aggregateWithWildcards(servers.*.*, 'sum', 1)",
    "sumSeriesWithWildcards": "sumSeriesWithWildcards(servers.*.*, 1)",
    "averageSeriesWithWildcards": "averageSeriesWithWildcards(servers.*.*, 1)",
    "multiplySeriesWithWildcards": "multiplySeriesWithWildcards(servers.*.*, 1)",
}  # fmt: skip
_BY_TYPE = {
    "aggFunc": "'max'",
    "aggOrSeriesFunc": "'sum'",
    "boolean": "true",
    "float": "50",
    "intOrInterval": "'10min'",
    "integer": "2",
    "interval": "'10min'",
    "node": "1",
    "nodeOrTag": "1",
    "string": "'red'",
}


def example(f: Function) -> str:
    """A target that shows what the function does."""
    if f.name in _EXAMPLES:
        return _EXAMPLES[f.name]
    shown = [p for p in f.params if p.required or (p.type == "seriesList" and p.multiple)]
    written = [_argument(param) for param in shown]
    if f.name in ("identity", "time", "timeFunction"):
        written = ["'time'"]
    if len([p for p in f.params if p.required and p.type == "seriesList"]) == 2:
        written[:2] = ["servers.*.cpu", "servers.*.disk"]
    return f"{f.name}({', '.join(written)})"


def _argument(param: Param) -> str:
    return _SERIES if param.type == "seriesList" else _BY_TYPE[param.type]


class Deploys:
    """One deploy, for `events()`."""

    def times(self, start: int, end: int, tags: object) -> list[int]:
        """When it was."""
        return [END - 3600]


def source() -> MemorySource:
    """Fixed series: a few servers, a counter, one with gaps, tagged ones, a distribution."""
    rng = random.Random(7)
    first = START - 4 * 3600
    count = (END - first) // STEP + 2

    def wave(level: float, height: float, minutes: float) -> list[float]:
        return [
            round(level + height * math.sin(i / minutes) + rng.gauss(0, height / 6), 2)
            for i in range(count)
        ]

    sent, total = [], 0.0
    for i in range(count):
        total = 0.0 if i == count - 70 else total + rng.randrange(20, 90)
        sent.append(total)
    gaps = [math.nan if (i // 8) % 3 == 0 else v for i, v in enumerate(wave(20, 8, 9))]
    rare = [v if i % 5 == 0 else math.nan for i, v in enumerate(wave(20, 8, 9))]
    series = [
        ("servers.web1.cpu", wave(45, 25, 25)),
        ("servers.web2.cpu", wave(30, 10, 14)),
        ("servers.web3.cpu", [v + i / 12 for i, v in enumerate(wave(15, 6, 11))]),
        ("servers.web1.disk", wave(70, 3, 40)),
        ("servers.web2.disk", wave(55, 4, 30)),
        ("servers.web3.disk", wave(80, 2, 35)),
        ("servers.gaps.load", gaps),
        ("servers.rare.load", rare),
        ("counters.sent", sent),
        ("disk.used;dc=eu1;host=a", wave(60, 5, 30)),
        ("disk.used;dc=eu1;host=b", wave(40, 5, 20)),
        ("disk.used;dc=us1;host=c", wave(25, 5, 25)),
    ]
    slots = [
        Histogram.of([rng.lognormvariate(4 + math.sin(i / 30) / 2, 0.6) for _ in range(30)])
        for i in range(count)
    ]
    path = "requests.time"
    return MemorySource(
        [(name, first, STEP, values) for name, values in series],
        {path: DistributionRange(path, first, first + count * STEP, STEP, slots)},
    )


def draw(target: str, data: MemorySource) -> bytes:
    """The picture of a target."""
    request = RenderRequest(start=START, end=END, now=END, max_points=90, events=Deploys())
    series = evaluate([target], request, data)
    if not series:
        raise SystemExit(f"an example without series: {target}")
    options = Options(start=START, end=END, picture={"width": "560", "height": "180"})
    return FORMATS["svg"].write(fit(series, 90), options)


def page() -> str:
    """The reference page."""
    lines = [
        "# Functions",
        "",
        "<!-- Written by docs/functions.py from the registry. Do not edit. -->",
        "",
        f"All {len(FUNCTIONS)} functions of the target language, by group: Graphite's, and "
        "`heatmap` of our own. Optional parameters show their default; `*name` takes any number.",
        "",
    ]
    groups = sorted({f.group for f in FUNCTIONS.values()})
    for group in groups:
        names = sorted((n for n, f in FUNCTIONS.items() if f.group == group), key=str.lower)
        links = ", ".join(f"[{name}](#{name.lower()})" for name in names)
        lines.append(f"- **{group}:** {links}")
    for group in groups:
        lines += ["", f"## {group}"]
        for name in sorted(FUNCTIONS, key=str.lower):
            if FUNCTIONS[name].group == group:
                lines += _entry(FUNCTIONS[name])
    return "\n".join(lines) + "\n"


def _entry(f: Function) -> list[str]:
    lines = [
        "",
        f"### {f.name}",
        "",
        f"`{f.signature}`",
        "",
        f.description.replace("\\1", "`\\1`"),
        "",
    ]
    if f.params:
        lines += ["| parameter | type | | default |", "|---|---|---|---|"]
    for param in f.params:
        kind = "any number" if param.multiple else "required" if param.required else "optional"
        default = "" if param.default is None else f"`{param.default}`"
        lines.append(f"| `{param.name}` | {param.type} | {kind} | {default} |")
    if f.params:
        lines.append("")
    target = example(f)
    return [*lines, f"![{f.name}](functions/{f.name}.svg)", "", f"`{target}`"]


def main() -> None:
    data = source()
    pictures = HERE / "functions"
    pictures.mkdir(exist_ok=True)
    for old in pictures.glob("*.svg"):
        old.unlink()
    for name, f in FUNCTIONS.items():
        (pictures / f"{name}.svg").write_bytes(draw(example(f), data))
    (HERE / "functions.md").write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
