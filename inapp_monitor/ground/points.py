"""What flows from the recorder to the store: values with a path and a time. Pure.

A `Batch` is one flush of one process. Values are *deltas*: the store combines them with what other
flushes and other worker processes wrote for the same path and step, by the path's method.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from inapp_monitor.ground.histogram import Histogram


class Method(IntEnum):
    """How values of one series combine, within a step and when rolled up.

    The numbers are those of Whisper's file header.
    """

    AVERAGE = 1
    SUM = 2
    LAST = 3
    MAX = 4
    MIN = 5
    AVG_ZERO = 6
    ABSMAX = 7
    ABSMIN = 8


class Scalar(NamedTuple):
    """One value of a series.

    Attributes:
        path: Dotted series name, valid by `names.check_path`.
        timestamp: Seconds since the epoch; the store floors it to its step.
        value: A finite number.
        method: How it combines; used when the path is new, else the stored method wins.
    """

    path: str
    timestamp: int
    value: float
    method: Method


class Distribution(NamedTuple):
    """A histogram of what was observed under one path since the last flush."""

    path: str
    timestamp: int
    histogram: Histogram


class Batch(NamedTuple):
    """One flush of one process."""

    scalars: list[Scalar]
    distributions: list[Distribution]
