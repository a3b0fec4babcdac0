"""The functions, one module for each of Graphite's groups; importing a module registers it."""

from __future__ import annotations

import importlib

_MODULES = (
    "alias",
    "calculate",
    "combine",
    "derivative",
    "filter_data",
    "filter_series",
    "forecast",
    "graph",
    "heatmap",
    "grouping",
    "percent",
    "sorting",
    "special",
    "transform",
    "resample",
    "moving",
    "timeshift",
)


def load() -> None:
    """Fill the registry."""
    for name in _MODULES:
        importlib.import_module(f"{__name__}.{name}")
