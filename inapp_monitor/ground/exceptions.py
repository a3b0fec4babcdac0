"""The errors that this package raises on purpose, and nothing else.

    MonitorError
    ├── ConfigError         a setting is unknown or has a bad value
    ├── SeriesNameError     a series name that cannot be stored
    ├── StoreError
    │   ├── FormatError     a file is not what it says: magic, version or checksum
    │   └── BudgetError     the disk budget has no room for another series
    └── QueryError          what a client asked for cannot be answered (HTTP 400)

None of them reaches the wrapped application, but for `ConfigError` when a monitor is made and for
misuse under the setting `strict`: they are for the package itself, the command line and the pages.
"""

from __future__ import annotations


class MonitorError(Exception):
    """Base of all errors raised by this package."""


class ConfigError(MonitorError, ValueError):
    """A setting is unknown or has a bad value. The message names it and says what was expected."""


class SeriesNameError(MonitorError, ValueError):
    """A series name that cannot be stored. The message shows the name and the reason."""


class StoreError(MonitorError):
    """The store could not do what was asked."""


class FormatError(StoreError, ValueError):
    """A file is not what it says it is (magic, version or checksum)."""


class BudgetError(StoreError):
    """The disk budget has no room for another series."""


class QueryError(MonitorError, ValueError):
    """A client's request that cannot be answered; the web answers 400 with the message.

    Args:
        message: One line that names the offending input and what was expected.
        position: Offset into the offending text, where there is one.
    """

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position
