"""From arrays to SVG path data: decimated to the plot's pixels, gaps kept, whole numbers.

Coordinates live in a box of a frame's `width` by `height * TENTHS`, which the browser fits into the
plot: every number is a short integer. Pure: numpy and strings.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inapp_monitor.query.series import Floats

#: Path units of the width of a plot that is stretched to any width.
WIDTH = 10_000
#: Path units of one pixel of height.
TENTHS = 10

_Ints = NDArray[np.int64]


class Frame(NamedTuple):
    """What the plot's box stands for: a window of time and a range of values."""

    start: float
    end: float
    low: float
    high: float
    height: int
    width: int = WIDTH

    def x(self, times: Floats) -> Floats:
        """Path units of epoch seconds."""
        return (times - self.start) * (self.width / (self.end - self.start))

    def y(self, values: Floats) -> Floats:
        """Path units of values, downwards."""
        full = self.height * TENTHS
        return full - (values - self.low) * (full / (self.high - self.low))


def visible(values: Floats, start: float, step: float, frame: Frame) -> tuple[Floats, Floats]:
    """Times and values that lie in the frame's window."""
    first = max(int(np.ceil((frame.start - start) / step)), 0)
    last = min(int(np.floor((frame.end - start) / step)) + 1, len(values))
    if last <= first:
        return np.empty(0), np.empty(0)
    return start + step * np.arange(first, last, dtype=np.float64), values[first:last]


def decimate(times: Floats, values: Floats, columns: int) -> tuple[Floats, Floats]:
    """At most two points a pixel column, its minimum and maximum; an empty column is a gap."""
    n = len(values)
    if n <= 2 * columns:
        return times, values
    cuts = np.arange(columns) * n // columns
    with np.errstate(invalid="ignore"):
        low = np.fmin.reduceat(values, cuts)
        high = np.fmax.reduceat(values, cuts)
    pairs = np.empty((columns, 2))
    # Up in one column and down in the next: the line between columns stays short.
    pairs[0::2, 0], pairs[0::2, 1] = low[0::2], high[0::2]
    pairs[1::2, 0], pairs[1::2, 1] = high[1::2], low[1::2]
    return np.repeat(times[cuts], 2), pairs.ravel()


def hold(times: Floats, values: Floats, step: float) -> tuple[Floats, Floats]:
    """The corners of a staircase: each value stays for its step."""
    return np.column_stack([times, times + step]).ravel(), np.repeat(values, 2)


def line(times: Floats, values: Floats, frame: Frame) -> tuple[str, str]:
    """A stroke through the values, and the lone ones, which are to be drawn as dots."""
    xs, ys, runs = _runs(times, values, frame)
    strokes, dots = [], []
    for a, b in runs:
        if b - a == 1:
            dots.append(f"M{xs[a]} {ys[a]}h1")
        else:
            strokes.append(f"M{xs[a]} {ys[a]}l{_deltas(xs[a:b], ys[a:b])}")
    return "".join(strokes), "".join(dots)


def area(times: Floats, values: Floats, frame: Frame, floor: Floats | None = None) -> str:
    """The surface between the values and the floor (default: 0 or the nearest bound)."""
    xs, ys, runs = _runs(times, values, frame)
    parts = []
    if floor is None:
        ground = _ground(frame)
        for a, b in runs:
            top = f"l{_deltas(xs[a:b], ys[a:b])}" if b - a > 1 else "h1"
            parts.append(f"M{xs[a]} {ys[a]}{top}V{ground}H{xs[a]}z")
        return "".join(parts)
    floor_y = _whole_y(np.nan_to_num(floor), frame)
    for a, b in runs:
        around_x = np.concatenate([xs[a:b], xs[a:b][::-1]])
        around_y = np.concatenate([ys[a:b], floor_y[a:b][::-1]])
        parts.append(f"M{xs[a]} {ys[a]}l{_deltas(around_x, around_y)}z")
    return "".join(parts)


def bars(times: Floats, values: Floats, frame: Frame, step: float) -> str:
    """A bar for each value that is not 0, as wide as its step with a little air."""
    keep = np.isfinite(values) & (values != 0)
    width = max(round(WIDTH * step / (frame.end - frame.start) * 0.78), 8)
    xs = np.rint(frame.x(times[keep])).astype(np.int64).tolist()
    tops = np.rint(np.clip(frame.y(values[keep]), 0, frame.height * TENTHS)).astype(np.int64)
    ground = _ground(frame)
    return "".join(
        f"M{x} {ground}V{top if abs(top - ground) >= TENTHS else ground - TENTHS}h{width}V{ground}z"
        for x, top in zip(xs, tops.tolist(), strict=True)
    )


def verticals(times: Floats, frame: Frame) -> str:
    """A stroke from top to bottom at each time."""
    full = frame.height * TENTHS
    return "".join(f"M{x} 0V{full}" for x in np.rint(frame.x(times)).astype(np.int64).tolist())


def _ground(frame: Frame) -> int:
    """Where 0 is, or the bound that is nearest to it."""
    level = min(max(0.0, frame.low), frame.high)
    return round(float(frame.y(np.array([level]))[0]))


def _runs(
    times: Floats, values: Floats, frame: Frame
) -> tuple[_Ints, _Ints, list[tuple[int, int]]]:
    """Whole coordinates, and where the stretches without a gap begin and end."""
    there = np.isfinite(values)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]])))
    runs = [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
    xs = np.rint(frame.x(times)).astype(np.int64)
    return xs, _whole_y(np.where(there, values, frame.low), frame), runs


def _whole_y(values: Floats, frame: Frame) -> _Ints:
    """Whole units, for values far beyond the frame a little beyond it."""
    full = frame.height * TENTHS
    return np.rint(np.clip(frame.y(values), -full, 2 * full)).astype(np.int64)


def _deltas(xs: _Ints, ys: _Ints) -> str:
    """Steps from point to point: shorter than positions, and exact since they are whole."""
    steps = np.empty(2 * (len(xs) - 1), dtype=np.int64)
    steps[0::2] = np.diff(xs)
    steps[1::2] = np.diff(ys)
    return " ".join(map(str, steps.tolist()))
