"""Text for terminals, logs and pages: what would act there instead of being read is made visible.

Escape sequences of terminals, overrides of the direction of text, invisible characters and lone
surrogates become their Python escapes. All that is printed goes through here. Pure.
"""

from __future__ import annotations

import re

#: C0 and C1 controls but tab and line feed, DEL; marks, embeddings, overrides and isolates of the
#: direction; line and paragraph separators; interlinear marks; surrogates; tags.
_ACTING = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f"
)
_IN_BLOCK = re.compile(f"[{_ACTING}]")
_IN_LINE = re.compile(f"[{_ACTING}\t\n]")


def visible(text: str) -> str:
    """Text of several lines."""
    return _IN_BLOCK.sub(_escape, text)


def visible_line(text: str) -> str:
    """Text of one line: a line feed in it cannot begin another one."""
    return _IN_LINE.sub(_escape, text)


def acts(character: str) -> bool:
    """Whether a character is one that `visible_line` escapes."""
    return _IN_LINE.match(character) is not None


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
