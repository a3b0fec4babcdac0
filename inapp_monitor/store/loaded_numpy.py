"""numpy, for readers in a process where something else has loaded it: who draws has.

Writers never load it: it would cost each worker memory and a part of a second.
"""

from __future__ import annotations

import sys
from typing import Any


def loaded_numpy() -> Any:
    """The module; None where nobody has imported it, or somebody is about to."""
    found = sys.modules.get("numpy")
    spec = getattr(found, "__spec__", None)
    return None if spec is None or getattr(spec, "_initializing", False) else found
