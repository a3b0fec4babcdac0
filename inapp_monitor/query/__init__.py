"""Graphite's target language over numpy arrays: text in, series out.

Three layers: `grammar` and `timespec` (text to trees and times), `evaluate` (fetches what a target
names), `functions` (series in, series out; described by `registry`). The web draws it.
"""

from inapp_monitor.query.evaluate import evaluate
from inapp_monitor.query.leaves import Slots
from inapp_monitor.query.memory import MemorySource
from inapp_monitor.query.request import EventLog, Limits, RenderRequest
from inapp_monitor.query.series import Series
from inapp_monitor.query.sources import Node, Source, StoreSource, Window
from inapp_monitor.query.timespec import parse_offset, parse_time, parse_zone

__all__ = [
    "EventLog",
    "Limits",
    "MemorySource",
    "Node",
    "RenderRequest",
    "Series",
    "Slots",
    "Source",
    "StoreSource",
    "Window",
    "evaluate",
    "parse_offset",
    "parse_time",
    "parse_zone",
]
