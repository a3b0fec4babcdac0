"""Numbers as verdicts and messages show them. Pure; what programs parse is not written here."""

from __future__ import annotations


def shown(value: float, digits: int = 4) -> str:
    """So many significant digits, thousands separated: `0.02`, `812.5`, `12,345`.

    A large number keeps all digits before the point, and never gets an exponent.
    """
    if abs(value) >= 10 ** (digits - 1) - 0.05:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def times(count: int) -> str:
    """`once`, or `1,234 times`."""
    return "once" if count == 1 else f"{count:,} times"
