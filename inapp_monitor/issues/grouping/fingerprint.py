"""What every rule gives: a fingerprint and the lines that it was made of. Pure.

What must not be here: how exceptions or messages become lines, which each version of the rule
decides for itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

#: Stands for the computed fingerprint in a list given by the user.
DEFAULT = "{{ default }}"


class Grouping(NamedTuple):
    """A fingerprint and why it is what it is.

    Attributes:
        fingerprint: 32 hexadecimal digits.
        reason: The lines that were compared, for people.
        version: Of the rule; 0 for a fingerprint given by the user.
    """

    fingerprint: str
    reason: tuple[str, ...]
    version: int


def grouping_of(lines: Sequence[str], version: int) -> Grouping:
    """The fingerprint of lines under a version of the rule."""
    text = f"{version}\n" + "\n".join(lines)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return Grouping(digest, tuple(lines), version)


def group_by(parts: Sequence[str], default: Grouping) -> Grouping:
    """The fingerprint that the user gave; `{{ default }}` in it stands for the computed lines."""
    lines: list[str] = []
    for part in parts:
        if part.strip() == DEFAULT:
            lines.extend(default.reason)
        else:
            lines.append(f"given: {part}")
    return grouping_of(lines, 0)
