"""Rules of the user's that name requests: a regular expression, and the name it gives. Pure.

They are for applications without templates, whose requests would share one name or have a name
each, and for templates that should be counted together. The first rule that matches anywhere in the
text counts; its name may refer to groups (`\\1`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from inapp_monitor.ground.exceptions import ConfigError

#: Between the expression and the name.
ARROW = " -> "


class NameRules:
    """The rules in their order.

    Args:
        rules: Each `expression -> name`.

    Raises:
        ConfigError: a rule without an arrow or a name, or an expression that is none.
    """

    def __init__(self, rules: Iterable[str]) -> None:
        self._rules = [_parsed(rule) for rule in rules]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def name(self, text: str) -> str | None:
        """The name that the first matching rule gives, or None."""
        for expression, name in self._rules:
            match = expression.search(text)
            if match is not None:
                return match.expand(name)
        return None


def _parsed(rule: str) -> tuple[re.Pattern[str], str]:
    expression, arrow, name = rule.partition(ARROW)
    if not arrow or not name.strip():
        raise ConfigError(f"route_rules: a rule is `expression{ARROW}name`, got {rule!r}")
    try:
        pattern = re.compile(expression.strip())
        re.sub(pattern, name.strip(), "")  # the groups that the name refers to are there
    except (re.error, IndexError) as error:
        raise ConfigError(f"route_rules: rule {rule!r}: {error}") from None
    return pattern, name.strip()
