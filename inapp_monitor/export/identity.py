"""How the app is identified to peers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Identity:
    """The app, its version and where it runs.

    Attributes:
        service: Its name; "" when it has none.
        environment: Such as `production`.
        release: Of its code; "" when unknown.
        data_dir: Where the names of routes are.
        version: Of this package.
    """

    service: str
    environment: str
    release: str
    data_dir: Path
    version: str
