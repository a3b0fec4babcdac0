"""Text that is safe to store and show: what stands for a secret, unsafe characters made visible.

Which texts are secret is decided in `scrub`.
"""

from __future__ import annotations

from inapp_monitor.ground.visible_text import visible

#: Stands where a secret was.
HIDDEN = "[scrubbed]"
#: Of a message that is looked at; more than an event keeps, so that the cut is noted.
MAX_TEXT_CHARS = 10_000


def clean_text(text: str) -> str:
    """Text with control characters, bidirectional overrides and surrogates made visible."""
    return visible(text)
