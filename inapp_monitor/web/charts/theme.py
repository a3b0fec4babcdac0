"""Colours of charts, for light and dark, distinguishable by colour-blind people too.

A page has them in its stylesheet, as variables and rules; a picture that stands alone takes
those that suit its ground. Hues are spread in lightness as well as in colour (after Okabe and Ito).
"""

from __future__ import annotations

import re

#: Variables of a light and of a dark surround.
LIGHT = (
    "--card:#fff;--ink:#1b2430;--dim:#5f6b7c;--line:#e4e7ec;"
    "--ok:#2a7d4f;--warn:#9a6208;--crit:#c0392b;"
    "--c1:#2563a8;--c2:#8e5bbf;--c3:#c2457a;--c4:#b7791f;"
    "--c5:#1f8a8a;--c6:#6b7a1f;--c7:#4a5568;--c8:#c0392b"
)
DARK = (
    "--card:#1a2028;--ink:#e6eaf0;--dim:#94a0b0;--line:#2a323d;"
    "--ok:#5fbf8b;--warn:#e0a84a;--crit:#ef6b5e;"
    "--c1:#6aa9e9;--c2:#b79be0;--c3:#e58bab;--c4:#e0a84a;"
    "--c5:#5cc5c5;--c6:#b8c95c;--c7:#a9b4c4;--c8:#ef6b5e"
)
#: Colours of series that were given none, in order, on a light and on a dark ground.
ON_LIGHT, ON_DARK = (tuple(re.findall(r"--c[1-8]:(#\w+)", each)) for each in (LIGHT, DARK))
_NAMES = (*(f"c{number}" for number in range(1, 9)), "ok", "warn", "crit", "dim")
_RULES = (
    ".chart{display:block;font-family:system-ui,sans-serif;overflow:hidden}"
    ".chart path,.chart line{vector-effect:non-scaling-stroke}"
    ".chart text{fill:var(--dim);font-size:11px;font-variant-numeric:tabular-nums}"
    ".chart .grid{stroke:var(--line);stroke-width:1;fill:none}"
    ".chart .yl{paint-order:stroke;stroke:var(--card);stroke-width:3px;stroke-linejoin:round}"
    ".chart .line{fill:none;stroke-width:1.6;stroke-linejoin:round;stroke-linecap:round}"
    ".chart .ghost{fill:none;stroke-width:1.3;stroke-dasharray:3 4;opacity:.75}"
    ".chart .dots{fill:none;stroke-width:4;stroke-linecap:round}"
    ".chart .area{stroke:none;fill-opacity:.13}"
    ".chart .stack{stroke:none;fill-opacity:.55}"
    ".chart .bar{stroke:none}"
    ".chart .marker{stroke:var(--dim);stroke-dasharray:2 3;stroke-width:1}"
    ".chart .none{font-size:13px;text-anchor:middle}"
    ".chart .mid{text-anchor:middle}.chart .right{text-anchor:end}"
    ".chart .cell{stroke:none;fill:var(--c1)}"
    ".chart .k0{fill:var(--line);fill-opacity:.55}.chart .k1{fill-opacity:.18}"
    ".chart .k2{fill-opacity:.36}.chart .k3{fill-opacity:.55}.chart .k4{fill-opacity:.76}"
    ".chart .mark{stroke-width:0}.chart .open{fill:none;stroke-width:2}"
    ".chart .reach{fill:none;pointer-events:all}"
    "@media (max-width:520px){.chart .minor{display:none}}"
)
_COLOURS = "".join(
    f".chart .s-{name}{{stroke:var(--{name})}}.chart .f-{name}{{fill:var(--{name})}}"
    for name in _NAMES
)
#: For pages, whose stylesheet has the variables already.
EMBEDDED = _RULES + _COLOURS
