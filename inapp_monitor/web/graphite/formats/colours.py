"""Colours as clients of the render API write them. Anything else becomes a colour of ours."""

from __future__ import annotations

import re

_NAMED = {
    "black": "#000000",
    "white": "#ffffff",
    "blue": "#3b73c4",
    "green": "#2f9e44",
    "red": "#d6336c",
    "yellow": "#e8b90a",
    "orange": "#e8710a",
    "purple": "#8250c4",
    "brown": "#8c6239",
    "cyan": "#12a5bd",
    "aqua": "#12a5bd",
    "gray": "#868e96",
    "grey": "#868e96",
    "magenta": "#c2449b",
    "pink": "#e68fb3",
    "gold": "#c99700",
    "rose": "#c8506e",
    "darkblue": "#1c3f80",
    "darkgreen": "#1d6b2d",
    "darkred": "#8f1d3f",
    "darkgray": "#495057",
    "darkgrey": "#495057",
}
#: Colours of series that were given none, in order.
PALETTE = (
    "#3b73c4",
    "#e8710a",
    "#2f9e44",
    "#d6336c",
    "#8250c4",
    "#12a5bd",
    "#c99700",
    "#8c6239",
)
_HEXADECIMAL = re.compile(r"#?([0-9a-fA-F]{6})([0-9a-fA-F]{2})?|#?([0-9a-fA-F]{3})")


def parse_colour(text: object) -> str | None:
    """`#rrggbb` for a colour name or a hexadecimal number; None for anything else."""
    if not isinstance(text, str):
        return None
    text = text.strip().lower()
    if text in _NAMED:
        return _NAMED[text]
    match = _HEXADECIMAL.fullmatch(text)
    if match is None:
        return None
    if match[3]:
        return "#" + "".join(2 * digit for digit in match[3])
    return f"#{match[1]}"


def parse_palette(text: str) -> tuple[str, ...]:
    """The colours of a comma-separated list that can be read; ours when there are none."""
    found = [parse_colour(part) for part in text.split(",")[:50]]
    return tuple(colour for colour in found if colour) or PALETTE
