"""Why a route has become slower: its time before and now, by statement, host, template, function.

`cause_of` is for verdicts and pages of slow routes: a text to stand behind theirs, with evidence.
Nothing is said without evidence: where nothing grew, there is no cause.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from inapp_monitor.alerts.deploy_words import BEFORE_S, deploy_words
from inapp_monitor.traces import time_parts
from inapp_monitor.traces.code_owner import APP, BUILTIN
from inapp_monitor.traces.request_profile import NOT_PROFILED
from inapp_monitor.traces.time_parts import RouteTime
from inapp_monitor.traces.time_table import Period
from inapp_monitor.web import human
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings import deploys
from inapp_monitor.web.findings.grown_part import grown_part, median_and_deviation

#: Seconds looked back from the change, and at most shown as now.
_BEFORE_S: Final = 3_600
#: A change is one from so many times, so many milliseconds, so many standard errors on.
_TIMES, _MS, _ERRORS = 1.5, 3.0, 4.0
_ENOUGH: Final = 4
#: The same of geometric means, where requests that hung hide it from the others.
_TYPICAL_TIMES, _TYPICAL_ENOUGH = 2.0, 6
#: The same without the period in which the change lies.
_ENOUGH_LATER: Final = 8
#: Last periods of which each may be the first in which a part takes longer.
_LATEST: Final = 3
#: Periods that took so many times the median are left out, while most requests are in others.
_HUNG, _MOST = 6.0, 0.8
#: A part is the cause from this share of the growth on.
_SHARE: Final = 0.4
#: And, where some requests hung, up to this one.
_AT_MOST: Final = 1.5
#: So much more often, and it is the number of calls that grew.
_MORE_OFTEN: Final = 2.0
#: Profiles tell about slow requests when theirs took so much of the mean.
_LIKE_OTHERS: Final = 0.5
_TEXT: Final = 90


@dataclass(frozen=True, slots=True)
class Cause:
    """What a route's time grew by.

    Attributes:
        kind: `database`, `http`, `template`, `cache`, `function`, or `rest`: own code or waiting.
        name: Statement, host, template or function.
        place: Line of the application: `shop/catalog.py:31 in search`.
        before_ms, now_ms: Of it, a request.
        before_count, now_count: How often, a request; 0 of functions and the rest.
        before_mean_ms, now_mean_ms: Of a request as a whole.
        since: When the route's time rose, epoch seconds.
        deploy: What was deployed shortly before.
        deploy_words: The same in words: `since deploy 2.5.0`.
        statement: Id of the statement.
        text: All of it in words.
    """

    kind: str
    name: str
    place: str
    before_ms: float
    now_ms: float
    before_count: float
    now_count: float
    before_mean_ms: float
    now_mean_ms: float
    since: float
    deploy: str = ""
    deploy_words: str = ""
    statement: str = ""
    text: str = ""

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


class _Change(NamedTuple):
    """How long requests of a route took, since when it is slower, and what was deployed before."""

    before_mean_ms: float
    now_mean_ms: float
    since: float
    deploy: str
    deploy_words: str


def cause_of(
    backend: Backend, slug: str, method: str, end: float, since: float | None = None
) -> Cause | None:
    """What made a route slower, as far as it is known.

    Args:
        slug, method: The route.
        end: Until when is looked, epoch seconds.
        since: When it became slow, where somebody knows; else the change is looked for.
    """
    if backend.times is None:
        return None
    start = (since if since is not None else end) - _BEFORE_S
    periods = backend.times.read(slug, method, start, end + 1.0)
    split = _split(periods) if since is None else _split_near(periods, since)
    if split is None:
        return None
    found = _of_whole(backend, slug, method, periods, split, end)
    if found is not None and found.kind != "rest":
        return found
    latest = range(max(len(periods) - _LATEST, 1), len(periods)) if since is None else ()
    for begin in (split, *latest):
        part = _of_part(backend, periods, begin)
        if part is not None:
            return part
    return found


def _of_whole(
    backend: Backend, slug: str, method: str, periods: Sequence[Period], split: int, end: float
) -> Cause | None:
    """Requests take longer: what most of it is."""
    before, now = _total(periods[:split]), _total(periods[split:])
    unrest = _unrest(periods[:split])
    means = _grown(before, now, unrest)
    if means is None:
        # The change lies within its first period: what came after that may show it.
        now = _total(periods[split + 1 :])
        if now.requests >= _ENOUGH_LATER:
            means = _grown(before, now, unrest)
        if means is None:
            return None
    change = _change(backend, periods[split], means)
    found = _largest(before, now, means)
    if found is not None and found[0] != "rest":
        return _named(found, (before.ms_of(found), now.ms_of(found)), before, now, change)
    return _function(backend, (slug, method), before, now, change, end)


def _of_part(backend: Backend, periods: Sequence[Period], split: int) -> Cause | None:
    """One part takes longer, whatever the whole of a request does."""
    now = _total(periods[split:])
    part = grown_part([each.time for each in periods[:split]], now)
    if part is None:
        return None
    before = _total(periods[:split])
    change = _change(backend, periods[split], (before.typical_ms, now.typical_ms))
    return _named(part.key, part[1:], before, now, change)


def _change(backend: Backend, period: Period, means: tuple[float, float]) -> _Change:
    """It lies in the first period of now; a deploy is named that is not later."""
    began, step = float(period.start), float(period.step)
    marks = deploys.between(backend, began - BEFORE_S, began + step)
    label = str(marks[-1]["label"]) if marks else ""
    return _Change(*means, began, label, deploy_words(marks, began, step))


def _split(periods: Sequence[Period]) -> int | None:
    """Where the mean time of requests rose and stayed up: the first period of now."""
    if len(periods) < 2:
        return None
    # Of logarithms: one period in which a few requests hung must not look like the change.
    logs = [(each.time.log_mean, each.time.requests) for each in periods]
    mean = sum(log * n for log, n in logs) / max(sum(n for _, n in logs), 1)
    lowest, index, at = 0.0, None, 0.0
    for number, (log, n) in enumerate(logs[:-1], 1):
        at += (log - mean) * n
        if at < lowest:
            lowest, index = at, number
    return index


def _split_near(periods: Sequence[Period], since: float) -> int | None:
    """The period in which `since` lies belongs to neither, where there are later ones."""
    before = [each for each in periods if each.start + each.step <= since]
    if not before or len(before) == len(periods):
        return _split(periods)
    own = _split(periods[max(len(before) - 6, 0) :])
    if own is not None and max(len(before) - 6, 0) + own > 0:
        return max(len(before) - 6, 0) + own
    return len(before)


def _total(periods: Sequence[Period]) -> RouteTime:
    """All of one side, without the few periods in which requests hung."""
    ordered = sorted(periods, key=lambda each: each.time.mean)
    half = sum(each.time.requests for each in ordered) / 2
    median, seen = 0.0, 0
    for each in ordered:
        seen += each.time.requests
        median = each.time.mean
        if seen >= half:
            break
    usual = [each.time for each in periods if each.time.mean <= _HUNG * median]
    kept = sum(each.requests for each in usual)
    if kept < _MOST * 2 * half:
        return time_parts.total(each.time for each in periods)
    return time_parts.total(usual)


def _unrest(periods: Sequence[Period]) -> float:
    """By how much periods differ, as the variance of their mean logarithms, that is not due to the
    requests that happen to be in them: a machine is busy for a while, and all of them are slow."""
    known = [each.time for each in periods if each.time.logged]
    if not known:
        return 0.0
    _, deviation = median_and_deviation([each.log_mean for each in known])
    within = time_parts.total(known).log_variance
    return max(deviation**2 - within * statistics.median(1 / each.logged for each in known), 0.0)


def _grown(before: RouteTime, now: RouteTime, unrest: float) -> tuple[float, float] | None:
    """Milliseconds of a request before and now, where it takes longer: arithmetic means, or the
    geometric ones where some requests that hung leave nothing to be seen of those.

    Args:
        unrest: See `_unrest`. Periods that follow each other are alike: that of one is all of it.
    """
    if before.requests < _ENOUGH or now.requests < _ENOUGH:
        return None
    means = before.mean, now.mean
    error = math.sqrt(before.variance / before.requests + now.variance / now.requests)
    if _is_longer(*means, _TIMES) and (means[1] - means[0] > _ERRORS * error or error == 0.0):
        return means
    if before.logged < _TYPICAL_ENOUGH or now.logged < _TYPICAL_ENOUGH:
        return None
    means = before.typical_ms, now.typical_ms
    # Of the wider of the two: a few durations are alike by chance.
    variance = max(before.log_variance, now.log_variance)
    error = math.sqrt(variance / before.logged + variance / now.logged + unrest)
    is_sure = now.log_mean - before.log_mean > _ERRORS * error
    return means if is_sure and _is_longer(*means, _TYPICAL_TIMES) else None


def _is_longer(before_ms: float, now_ms: float, times: float) -> bool:
    return now_ms >= times * before_ms and now_ms - before_ms >= _MS


def _largest(
    before: RouteTime, now: RouteTime, means: tuple[float, float]
) -> tuple[str, str] | None:
    """The part that grew most, if it is most of the growth; `("rest", "")` for what is in none."""
    grown = means[1] - means[0]
    by_part = {key: part.ms / now.requests - before.ms_of(key) for key, part in now.parts.items()}
    by_part["rest", ""] = now.rest_ms - before.rest_ms
    if means[1] != now.mean:  # what grew by much more than requests did is where some of them hung
        by_part = {key: ms for key, ms in by_part.items() if ms <= _AT_MOST * grown}
    key = max(by_part, key=lambda each: by_part[each], default=None)
    return key if key is not None and by_part[key] >= _SHARE * grown else None


def _count_of(time: RouteTime, key: tuple[str, str]) -> float:
    part = time.parts.get(key)
    return part.count / time.requests if part is not None and time.requests else 0.0


def _named(
    key: tuple[str, str],
    times: tuple[float, float],
    before: RouteTime,
    now: RouteTime,
    change: _Change,
) -> Cause:
    """A part of requests as the cause: its milliseconds a request before and now."""
    part = now.parts[key]
    counts = _count_of(before, key), _count_of(now, key)
    name = human.shorten(key[1], _TEXT)
    figures = f"{_ms(times[0])} → {_ms(times[1])} a request"
    if counts[1] >= _MORE_OFTEN * max(counts[0], 0.5) and counts[1] - counts[0] >= 1.0:
        figures = f"{_times(counts[0])} → {_times(counts[1])} times, {figures}"
    words = {"http": "calls of ", "template": "template ", "cache": "cache "}.get(key[0], "")
    place = f", {part.place}" if part.place else ""
    return Cause(
        *(key[0], key[1], part.place, *times, *counts, *change),
        statement=part.id,
        text=f"{words}{name} {figures}{place}",
    )


def _function(
    backend: Backend,
    route: tuple[str, str],
    before: RouteTime,
    now: RouteTime,
    change: _Change,
    end: float,
) -> Cause | None:
    """The growth is in no span: whose function it is, the profiles tell."""
    rest = before.rest_ms, now.rest_ms
    grown = change.now_mean_ms - change.before_mean_ms
    if rest[1] - rest[0] < _SHARE * grown:
        return None  # many parts grew a little
    means, rest_ms = change[:2], min(rest[1] - rest[0], grown)
    found = _grown_function(backend, route, (change.since, end), means, rest_ms)
    if found is None:
        text = f"own code or waiting {_ms(rest[0])} → {_ms(rest[1])} a request"
        return Cause(*("rest", "", "", *rest, 0.0, 0.0, *change), text=text)
    (name, place, waits), times = found
    within = f" in {waits}" if waits else ""
    text = f"{name}{within} {_ms(times[0])} → {_ms(times[1])} a request, {place}"
    where = f"{place} in {name}"
    return Cause(*("function", name, where, *times, 0.0, 0.0, *change), text=text)


def _grown_function(
    backend: Backend,
    route: tuple[str, str],
    period: tuple[float, float],
    means: tuple[float, float],
    rest_ms: float,
) -> tuple[tuple[str, str, str], tuple[float, float]] | None:
    """The function of the app whose own time, what it waits for in C included, grew most.

    Args:
        route, period: Slug and method; since when and until when it is slow.
        means: Milliseconds of a request before and now. A profiled request takes longer than
            others, the more it calls: what its profile tells is shares of its time.
        rest_ms: By how much what is in no span has grown, a request.
    """
    if backend.profiles is None:
        return None
    latest = backend.profiles.after(*route, *period)
    if _ms_of_profile(latest) < means[1] * _LIKE_OTHERS:
        return None  # of requests that were not slow
    now = _by_app_function(latest, means[1])
    before = _by_app_function(backend.profiles.before(*route, period[0]), means[0])
    grown = {key: times[0] - before.get(key, (0.0, ""))[0] for key, times in now.items()}
    key = max(grown, key=lambda each: grown[each], default=None)
    if key is None or grown[key] < rest_ms * _SHARE:
        return None
    times = before.get(key, (0.0, ""))[0], now[key][0]
    return (key[0], key[1], now[key][1]), times


def _ms_of_profile(tree: dict[str, Any]) -> float:
    """Milliseconds of a request, what was not profiled of it included."""
    whole_us: int = tree["root"][1]
    requests: int = tree["requests"]
    return whole_us / 1000 / max(requests, 1)


def _by_app_function(
    tree: dict[str, Any], mean_ms: float
) -> dict[tuple[str, str], tuple[float, str]]:
    """Of each function of the app, with what libraries do for it, its share of a request that takes
    `mean_ms`, and the function of C in which most of that passed."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    whole_us = tree["root"][1]
    for child in tree["root"][2]:
        if tree["frames"][child[0]][0] == NOT_PROFILED:
            whole_us -= child[1]
    scale = mean_ms / max(whole_us, 1)

    def visit(node: list[Any], owner: tuple[str, str] | None) -> None:
        name = ""
        if node[0] >= 0:
            frame = tree["frames"][node[0]]
            if frame[2] == APP:
                owner = frame[0], frame[1]
            elif frame[2] == BUILTIN:
                name = frame[0]
        own = node[1] - sum(child[1] for child in node[2])
        if owner is not None and own > 0:
            inside = found.setdefault(owner, {})
            inside[name] = inside.get(name, 0.0) + own * scale
        for child in node[2]:
            visit(child, owner)

    visit(tree["root"], None)
    return {
        key: (sum(inside.values()), max(inside, key=lambda name: inside[name]))
        for key, inside in found.items()
    }


def _ms(number: float) -> str:
    return human.value(number, "ms") if number >= 0.05 else "0 ms"


def _times(number: float) -> str:
    return f"{number:.0f}" if number >= 10 or number == round(number) else f"{number:.1f}"
