"""Ranges beside the library nagiosplugin: random texts and values.

    pip install nagiosplugin

Where it differs: we take exponents (`1e3`, as Nagios's own C code does) and blanks around a whole
range, it takes what Python's `int` and `float` take: underscores and digits of other scripts.
"""

from __future__ import annotations

import random
import re

import pytest

from inapp_monitor.alerts.range import Range

pytestmark = pytest.mark.compat
nagiosplugin = pytest.importorskip("nagiosplugin")
ASCII_PLAIN = re.compile(r"[-+.:~@0-9]*", re.ASCII)


def spec(rolls: random.Random) -> str:
    def number() -> str:
        kind = rolls.random()
        if kind < 0.1:
            return ""
        if kind < 0.2:
            return "~"
        if kind < 0.5:
            return str(rolls.randint(-20, 20))
        if kind < 0.55:
            return str(rolls.randint(10**17, 10**20))
        if kind < 0.95:
            return rolls.choice(["", "-", "+"]) + rolls.choice(["1.5", ".5", "7.", "0.25", "3"])
        return rolls.choice(["a", "--1", "1.2.3", "-", ".", ":"])

    form = rolls.choice(["{0}", "{0}:", ":{0}", "{0}:{1}", "{0}:{1}", "{0}:{1}"])
    return rolls.choice(["", "", "@"]) + form.format(number(), number())


def test_ten_thousand() -> None:
    """The same texts are refused, and the same values alert."""
    rolls = random.Random(2)
    refused = violated = 0
    for _ in range(10_000):
        text = spec(rolls)
        assert ASCII_PLAIN.fullmatch(text) or "a" in text
        try:
            theirs = nagiosplugin.Range(text)
        except ValueError:
            theirs = None
            refused += 1
        try:
            ours = Range.parse(text)
        except ValueError:
            ours = None
        assert (ours is None) == (theirs is None), text
        if ours is None:
            continue
        for value in (*(rolls.uniform(-25, 25) for _ in range(3)), 0, 5, 1.5, 10**18, -7):
            assert ours.violated_by(value) == (not theirs.match(value)), (text, value)
            violated += ours.violated_by(value)
    assert refused > 500 and violated > 5_000
