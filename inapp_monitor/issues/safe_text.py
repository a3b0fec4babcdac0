"""Text that is safe to store and show: what stands for a secret, unsafe characters made visible.

Which texts are secret is decided in `scrub`.
"""

from __future__ import annotations

import re

#: Stands where a secret was.
HIDDEN = "[scrubbed]"

#: Control characters, bidirectional overrides and lone surrogates: unsafe in titles and terminals.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def clean_text(text: str) -> str:
    """Text with control characters, bidirectional overrides and surrogates made visible."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
