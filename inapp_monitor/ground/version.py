"""The release of this package. Pure."""

from typing import Final

VERSION: Final = "0.1.0"
