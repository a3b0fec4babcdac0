"""Numbers with a unit prefix, `1.5k` or `1.5Ki`. Pure."""

from __future__ import annotations

import math

SYSTEMS: dict[str, tuple[tuple[str, float], ...]] = {
    "binary": (
        ("Pi", 1024.0**5),
        ("Ti", 1024.0**4),
        ("Gi", 1024.0**3),
        ("Mi", 1024.0**2),
        ("Ki", 1024.0),
    ),
    "si": (("P", 1000.0**5), ("T", 1000.0**4), ("G", 1000.0**3), ("M", 1000.0**2), ("k", 1000.0)),
}


def format_units(value: float, system: str, units: str = "") -> tuple[float, str]:
    """The value divided by the largest prefix below it, and that prefix with the units."""
    for prefix, size in SYSTEMS[system]:
        if abs(value) >= size:
            return _whole(value / size, value), prefix + units
    return _whole(value, value), units


def _whole(value: float, original: float) -> float:
    """Without a fraction that is only noise."""
    if math.isfinite(value) and value - math.floor(value) < 1e-11 and original > 1:
        return float(math.floor(value))
    return value
