"""Colours as clients of the render API write them. Anything else becomes a colour of the theme."""

from __future__ import annotations

import re

from inapp_monitor.web.charts.theme import ON_DARK, ON_LIGHT

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


def is_dark(colour: str) -> bool:
    """Whether a `#rrggbb` is dark to the eye, which sees green best."""
    red, green, blue = bytes.fromhex(colour[1:])
    return 3 * red + 6 * green + blue < 1_280


def parse_palette(text: str, dark: bool = False) -> tuple[str, ...]:
    """The readable colours of a comma-separated list; those of the theme when it has none."""
    found = [parse_colour(part) for part in text.split(",")[:50]]
    return tuple(colour for colour in found if colour) or (ON_DARK if dark else ON_LIGHT)
