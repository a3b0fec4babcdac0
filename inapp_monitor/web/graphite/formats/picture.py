"""Series as an SVG picture with the options and graph functions of the render API.

The document holds shapes and escaped text only: no script, no style sheet, no link.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.series import Floats, Series
from inapp_monitor.web.charts.description import describe
from inapp_monitor.web.charts.spec import ChartSeries
from inapp_monitor.web.graphite.formats.axes import (
    Scale,
    time_ticks,
    value_label,
    value_scale,
)
from inapp_monitor.web.graphite.formats.colours import parse_colour, parse_palette
from inapp_monitor.web.graphite.formats.options import Options

_WIDTH, _HEIGHT = 800, 300
_LINE_MODES = ("slope", "staircase", "connected")
_AREA_MODES = ("none", "first", "all", "stacked")
_FONT = "font-family='system-ui, sans-serif' font-size='11'"
_LEGEND_ROW = 16
#: Values beyond this are not drawn: their differences overflow.
_HUGE = 1e300
_LEGEND_MOST = 40


@dataclass(frozen=True, slots=True)
class _Line:
    """One series ready to be drawn: `floor` is the lower edge of its area, None for a line."""

    series: Series
    values: Floats
    colour: str
    floor: Floats | None = None


@dataclass(frozen=True, slots=True)
class _Frame:
    """The plot's place in pixels, its window in seconds and its value scales."""

    left: float
    right: float
    top: float
    bottom: float
    start: float
    end: float
    scales: tuple[Scale, Scale | None]

    def x(self, times: Floats) -> Floats:
        """Pixels of times."""
        share = (times - self.start) / max(1.0, self.end - self.start)
        return np.clip(self.left + share * (self.right - self.left), self.left, self.right)

    def y(self, values: Floats, scale: Scale) -> Floats:
        """Pixels of values; beyond the scale at its edge."""
        share = (values - scale.low) / (scale.high - scale.low)
        place = self.bottom - np.clip(share, -0.01, 1.01) * (self.bottom - self.top)
        return np.asarray(place, dtype=np.float64)


def write_svg(series_list: Sequence[Series], options: Options) -> bytes:
    """The picture as a document.

    Raises:
        QueryError: an option has a value that it cannot have.
    """
    width, height = options.pixels("width", _WIDTH), options.pixels("height", _HEIGHT)
    line_mode = _one_of(options, "lineMode", _LINE_MODES)
    lines = _lines(series_list, options)
    foreground = parse_colour(options.text("fgcolor")) or "#343a40"
    background = parse_colour(options.text("bgcolor")) or "#ffffff"
    legend = _legend(lines, options, width)
    frame = _frame(lines, options, width, height, len(legend))
    title = _clean(options.text("title"))
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' "
        f"viewBox='0 0 {width} {height}' role='img'><title>{escape(title or 'Graph')}</title>"
        f"<desc>{escape(_told(series_list))}</desc>"
        f"<rect width='{width}' height='{height}' fill='{background}'/>"
    ]
    if not options.flag("graphOnly"):
        parts += _axes(frame, options, foreground, title, width)
    parts += [_drawn(line, frame, line_mode) for line in lines]
    if not series_list:
        parts.append(_text(width / 2, height / 2, "No data", foreground, "middle"))
    parts += _legend_drawn(legend, frame.bottom + 34, foreground)
    parts.append("</svg>")
    return "".join(parts).encode()


def _told(series_list: Sequence[Series]) -> str:
    """What the picture shows, for who cannot see it."""
    shown = [ChartSeries(_clean(s.name), s.values) for s in series_list]
    return describe(shown, "") or "No data."


def _one_of(options: Options, name: str, allowed: tuple[str, ...]) -> str:
    given = options.text(name) or allowed[0]
    if given not in allowed:
        raise QueryError(f"{name} must be one of {', '.join(allowed)}, got {given[:40]!r}")
    return given


def _clean(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(c for c in text[:300] if c >= " " and not "\ud800" <= c <= "\udfff"
                   and c not in "\x7f\ufffe\uffff")  # fmt: skip


def _lines(series_list: Sequence[Series], options: Options) -> list[_Line]:
    """Colours, stacks and areas settled."""
    mode = _one_of(options, "areaMode", _AREA_MODES)
    palette = parse_palette(options.text("colorList"))
    stacks: dict[bool, Floats] = {}
    lines: list[_Line] = []
    for i, s in enumerate(series_list):
        with np.errstate(invalid="ignore"):
            values = np.where(np.abs(s.values) < _HUGE, s.values, np.nan)
        if options.flag("drawNullAsZero"):
            values = np.nan_to_num(values)
        colour = parse_colour(s.options.get("color")) or palette[i % len(palette)]
        line = _Line(s, values, colour)
        side = bool(s.options.get("secondYAxis"))
        if s.options.get("stacked"):  # the function has added up already
            line = replace(line, floor=_resized(stacks.get(side), len(values)))
            stacks[side] = values
        elif mode == "stacked" and not s.options.get("drawAsInfinite"):
            floor = _resized(stacks.get(side), len(values))
            line = replace(line, values=floor + np.nan_to_num(values), floor=floor)
            stacks[side] = line.values
        elif mode == "all" or (mode == "first" and i == 0):
            line = replace(line, floor=np.zeros(len(values)))
        lines.append(line)
    return [line for line in lines if not line.series.options.get("invisible")]


def _resized(values: Floats | None, count: int) -> Floats:
    resized = np.zeros(count)
    if values is not None:
        shared = min(count, len(values))
        resized[:shared] = np.nan_to_num(values[:shared])
    return resized


def _scale(lines: Sequence[_Line], options: Options, side: bool, height: float) -> Scale | None:
    own = [
        line
        for line in lines
        if bool(line.series.options.get("secondYAxis")) == side
        and not line.series.options.get("drawAsInfinite")
    ]
    if side and not own:
        return None
    suffix = "Right" if side else "Left"
    known = [line.values[~np.isnan(line.values)] for line in own]
    known = [values for values in known if len(values)]
    low = min((float(values.min()) for values in known), default=0.0)
    high = max((float(values.max()) for values in known), default=1.0)
    for line in own:
        if line.floor is not None:
            low = min(low, 0.0, float(line.floor.min(initial=0.0)))
            high = max(high, float(line.floor.max(initial=0.0)))
    given_low = options.number(f"yMin{suffix}") if side else options.number("yMin")
    given_high = options.number(f"yMax{suffix}") if side else options.number("yMax")
    low = low if given_low is None else given_low
    high = high if given_high is None else given_high
    fixed = given_low is not None, given_high is not None
    return value_scale(low, high, max(1, int(height // 34)), fixed)


def _frame(
    lines: Sequence[_Line], options: Options, width: int, height: int, legend_rows: int
) -> _Frame:
    bare = options.flag("graphOnly")
    top = 8.0 + (22 if options.text("title") and not bare else 0)
    bottom = height - (4.0 if bare else 24.0 + legend_rows * _LEGEND_ROW + 4 * bool(legend_rows))
    bottom = max(bottom, top + 10)
    left = 4.0 if bare else 54.0 + (16 if options.text("vtitle") else 0)
    scales = (
        _scale(lines, options, False, bottom - top) or Scale(0.0, 1.0, (0.0, 1.0)),
        _scale(lines, options, True, bottom - top),
    )
    right = width - (4.0 if bare else 54.0 if scales[1] else 12.0)
    right = max(right, left + 10)
    return _Frame(left, right, top, bottom, float(options.start), float(options.end), scales)


def _text(x: float, y: float, text: str, colour: str, anchor: str = "start", more: str = "") -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' fill='{colour}' text-anchor='{anchor}' {_FONT}{more}>"
        f"{escape(_clean(text))}</text>"
    )


def _axes(frame: _Frame, options: Options, colour: str, title: str, width: int) -> list[str]:
    parts = []
    system = options.text("yUnitSystem", "si")
    if title:
        parts.append(_text(width / 2, 18, title, colour, "middle", " font-weight='600'"))
    if vtitle := options.text("vtitle"):
        middle = (frame.top + frame.bottom) / 2
        turn = f" transform='rotate(-90 14 {middle:.1f})'"
        parts.append(_text(14, middle, vtitle, colour, "middle", turn))
    hidden = options.flag("hideAxes")
    for side, scale in enumerate(frame.scales):
        if scale is None or hidden or options.flag("hideYAxis"):
            continue
        step = scale.ticks[1] - scale.ticks[0] if len(scale.ticks) > 1 else scale.high - scale.low
        for tick in scale.ticks:
            y = float(frame.y(np.array([tick]), scale)[0])
            if not side and not options.flag("hideGrid"):
                parts.append(_rule(frame.left, y, frame.right, y, colour, 0.12))
            x, anchor = (frame.right + 6, "start") if side else (frame.left - 6, "end")
            parts.append(_text(x, y + 4, value_label(tick, step, system), colour, anchor))
    if not hidden and not options.flag("hideXAxis"):
        most = max(1, int((frame.right - frame.left) // 70))
        for moment, label in time_ticks(int(frame.start), int(frame.end), most, options.tz):
            x = float(frame.x(np.array([float(moment)]))[0])
            parts.append(_rule(x, frame.bottom, x, frame.bottom + 4, colour, 0.6))
            parts.append(_text(x, frame.bottom + 16, label, colour, "middle"))
        parts.append(_rule(frame.left, frame.bottom, frame.right, frame.bottom, colour, 0.6))
    return parts


def _rule(x1: float, y1: float, x2: float, y2: float, colour: str, opacity: float) -> str:
    return (
        f"<path d='M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}' stroke='{colour}' "
        f"stroke-opacity='{opacity}'/>"
    )


def _drawn(line: _Line, frame: _Frame, mode: str) -> str:
    """The line (and area) of one series."""
    s = line.series
    scale = frame.scales[1] if s.options.get("secondYAxis") else frame.scales[0]
    if scale is None or not len(line.values):
        return ""
    times = s.start + np.arange(len(line.values), dtype=np.float64) * s.step
    if s.options.get("drawAsInfinite"):
        marks = frame.x(times[np.nan_to_num(line.values) > 0]).tolist()
        path = "".join(f"M{x:.1f} {frame.top:.1f}V{frame.bottom:.1f}" for x in marks)
        return f"<path d='{path}' fill='none' stroke='{line.colour}'{_stroke(s)}/>"
    floor = line.floor
    values = line.values
    if mode == "connected":
        known = ~np.isnan(values)
        times, values = times[known], values[known]
        floor = None if floor is None else floor[known]
    parts = []
    x, y = frame.x(times), frame.y(values, scale)
    base = None if floor is None else frame.y(floor, scale)
    for begin, end in _runs(values):
        edge = _polyline(x[begin:end], y[begin:end], mode)
        if base is not None:
            back = _polyline(x[begin:end][::-1], base[begin:end][::-1], "slope")
            opacity = _number(s.options.get("alpha"), 0.35 if not s.options.get("stacked") else 0.8)
            parts.append(
                f"<path d='M{edge}L{back}Z' fill='{line.colour}' fill-opacity='{opacity:g}'/>"
            )
        parts.append(
            f"<path d='M{edge}' fill='none' stroke='{line.colour}' stroke-linejoin='round'"
            f"{_stroke(s)}/>"
        )
    return "".join(parts)


def _number(value: Any, default: float) -> float:
    if isinstance(value, (int, float)) and value - value == 0:
        return min(max(float(value), 0.0), 100.0)
    return default


def _stroke(s: Series) -> str:
    parts = [f" stroke-width='{_number(s.options.get('lineWidth'), 1.5):g}'"]
    if s.options.get("dashed"):
        parts.append(f" stroke-dasharray='{_number(s.options['dashed'], 5.0):g}'")
    if s.options.get("alpha") is not None:
        parts.append(f" stroke-opacity='{_number(s.options['alpha'], 1.0):g}'")
    return "".join(parts)


def _runs(values: Floats) -> list[tuple[int, int]]:
    """Begin and end of each stretch without nulls."""
    known = np.concatenate([[False], ~np.isnan(values), [False]])
    edges = np.flatnonzero(known[1:] != known[:-1]).tolist()
    return list(zip(edges[0::2], edges[1::2], strict=True))


def _polyline(x: Floats, y: Floats, mode: str) -> str:
    points = list(zip(x.tolist(), y.tolist(), strict=True))
    if len(points) == 1:  # a point alone is a short dash
        (px, py) = points[0]
        points = [(px - 0.7, py), (px + 0.7, py)]
    if mode != "staircase":
        return "L".join(f"{px:.1f} {py:.1f}" for px, py in points)
    first, *rest = points
    return f"{first[0]:.1f} {first[1]:.1f}" + "".join(f"H{px:.1f}V{py:.1f}" for px, py in rest)


def _legend(lines: Sequence[_Line], options: Options, width: int) -> list[list[tuple[_Line, str]]]:
    """Names in rows; none when hidden."""
    hide = options.flag("hideLegend") or options.flag("graphOnly")
    if hide or (not options.text("hideLegend") and len(lines) > _LEGEND_MOST):
        return []
    rows: list[list[tuple[_Line, str]]] = []
    room = 0.0
    seen = set()
    for line in lines:
        name = _clean(line.series.name)
        if name in seen:
            continue
        seen.add(name)
        name = name if len(name) <= 80 else name[:79] + "…"
        needed = 30 + len(name) * 6.2
        if not rows or needed > room:
            rows.append([])
            room = width - 20.0
        rows[-1].append((line, name))
        room -= needed
    return rows


def _legend_drawn(rows: list[list[tuple[_Line, str]]], top: float, colour: str) -> list[str]:
    parts = []
    for i, row in enumerate(rows):
        x, y = 10.0, top + i * _LEGEND_ROW
        for line, name in row:
            parts.append(
                f"<rect x='{x:.1f}' y='{y - 8:.1f}' width='10' height='10' fill='{line.colour}'/>"
            )
            parts.append(_text(x + 15, y + 1, name, colour))
            x += 30 + len(name) * 6.2
    return parts
