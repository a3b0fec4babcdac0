"""What a collector says of a series beside its values: title, unit, limits. Pure."""

from __future__ import annotations

from typing import NamedTuple

#: Lowest and highest value that is as it should be; None where there is no limit.
Limits = tuple[float | None, float | None]


class Description(NamedTuple):
    """Of one series.

    Attributes:
        title: Of the graph that it belongs to.
        label: What it is called in that graph.
        unit: What its axis says, such as `req / second`.
        text: A sentence about it.
        warning, critical: Outside of these limits it is no longer as it should be.
        source: Who says so.
    """

    title: str = ""
    label: str = ""
    unit: str = ""
    text: str = ""
    warning: Limits | None = None
    critical: Limits | None = None
    source: str = ""
