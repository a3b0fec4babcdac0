"""What the status page shows of destinations; every worker loads it, so nothing else is here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ExportFacts:
    """Every destination and how it fares, see `exporting.Exporting.rows`."""

    exports: Sequence[Mapping[str, Any]] = ()
