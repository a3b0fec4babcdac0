"""A rule: what is looked at, what is too much of it, and when it counts. Pure.

A rule is a table of plain values, written in TOML, given to `monitor.alert(...)`, or built in:

    [rules.checkout-slow]
    target   = "routes.checkout.*.time.p95"     # any target; each series has a state of its own
    warning  = "> 300ms"                        # a condition as people write it, or a Nagios range
    critical = "~:800"
    window   = "1min"
    attempts = 3
    recovery = "~:250"

Nothing here evaluates a rule or knows where it came from.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from inapp_monitor.alerts import condition
from inapp_monitor.alerts.condition import Condition
from inapp_monitor.alerts.range import Range
from inapp_monitor.alerts.state import StateConfig
from inapp_monitor.alerts.status import Status
from inapp_monitor.ground.setting_values import parse_bool, parse_duration, parse_int

#: What a rule says where there are no data.
NoData = Literal["unknown", "keep", "ok", "critical"]
#: What is evaluated: a target of the query language, or a detector of the judge by its name.
Kind = Literal["query", "detector"]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}", re.ASCII)
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}", re.ASCII)
_SEVERITIES = ("page", "ticket", "info")
_LONGEST_TEXT = 2_000
#: Durations and counts of a rule, at most.
_LONGEST_S, _MOST = 400 * 86_400, 10**12
#: Series of one rule that have a state each; further ones are one UNKNOWN.
MAX_SERIES = 1_000


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        name: Identifies it: lower-case letters, digits, `.`, `_`, `-`.
        target: What is evaluated, in the query language, or the detector's name.
        whole: The target that `target` is a share of, in per cent; "" for none.
        warning, critical: Ranges that raise an alert; None: there is no such level.
        unit: Of the value: `ms`, `%`, `bytes`, `s`, or "".
        title: For people; "" for the name.
        window_s: The time that one evaluation looks at; it ends with the last closed step.
        interval_s: Seconds between two evaluations.
        before_s: The value is divided by that of so many seconds before; 0 for not.
        attempts: Evaluations in a row that make a problem HARD.
        recovery: Values inside it end a problem; None: those that raise no warning.
        recovery_attempts: Evaluations in a row that end a HARD problem.
        min_count: With less in the whole (or, without one, in `requests.time.count`), there is
            not enough to say: neither OK nor a problem. 0 for not.
        no_data: What no data mean.
        no_data_s: Only after so long; 0: three intervals.
        quiet_after_deploy_s: After a deploy or start, so long no problem begins.
        parents: Rules whose HARD problems explain this one's: it is not sent while they last.
        severity: `page`, `ticket` or `info`.
        runbook: Where people read what to do.
        labels: For those that route messages.
        notify: Whether messages are sent at all, or it is shown only.
        renotify_s: A problem that goes on is sent again after so long; 0 for never.
        flap_detection: Whether flapping is noticed, and then silent.
        kind: Who evaluates it.
        source: Where it was written: `built-in`, a file, `monitor.alert` or `page`.
    """

    name: str
    target: str
    whole: str = ""
    warning: Range | None = None
    critical: Range | None = None
    unit: str = ""
    title: str = ""
    window_s: float = 60.0
    interval_s: float = 15.0
    before_s: int = 0
    attempts: int = 3
    recovery: Range | None = None
    recovery_attempts: int = 1
    min_count: int = 0
    no_data: NoData = "unknown"
    no_data_s: float = 0.0
    quiet_after_deploy_s: float = 0.0
    parents: tuple[str, ...] = ()
    severity: str = "ticket"
    runbook: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    notify: bool = True
    renotify_s: float = 0.0
    flap_detection: bool = True
    kind: Kind = "query"
    source: str = "built-in"

    @classmethod
    def parse(cls, name: str, table: Mapping[str, object], source: str) -> Rule:
        """The rule of a table of plain values, as TOML gives it.

        Raises:
            ValueError: a key is unknown or a value is wrong; the message names rule and key and
                says what was expected.
        """
        try:
            return _parse(name, table, source)
        except ValueError as error:
            raise ValueError(f"rule {name!r}: {error}") from None

    @property
    def config(self) -> StateConfig:
        """What its states are kept by."""
        return StateConfig(
            self.attempts, self.recovery_attempts, self.renotify_s, self.flap_detection
        )

    @property
    def missing_after_s(self) -> float:
        """Seconds without data after which the policy for that applies."""
        return self.no_data_s or 3 * self.interval_s

    def status_of(self, value: float, before: Status) -> Status:
        """What a value means, given what was found before: a problem ends in `recovery` only."""
        if math.isnan(value):
            return Status.UNKNOWN
        if self.critical is not None and self.critical.violated_by(value):
            return Status.CRITICAL
        if self.warning is not None and self.warning.violated_by(value):
            return Status.WARNING
        if before in (Status.OK, Status.UNKNOWN) or self.recovery is None:
            return Status.OK
        if not self.recovery.violated_by(value):
            return Status.OK
        return before if self.warning is None else Status.WARNING


def _parse(name: str, table: Mapping[str, object], source: str) -> Rule:
    if not _NAME.fullmatch(name):
        raise ValueError("its name must be of lower-case letters, digits, `.`, `_` and `-`")
    unknown = set(table) - _KEYS
    if unknown:
        key = sorted(unknown)[0]
        raise ValueError(f"unknown key {key!r}; expected one of {', '.join(sorted(_KEYS))}")
    given = _Given(table)
    levels = {key: given.condition(key) for key in ("warning", "critical")}
    conditions = [level for level in levels.values() if level is not None]
    if not conditions:
        raise ValueError("neither `warning` nor `critical` is given")
    recovery = given.condition("recovery")
    interval_s = given.seconds("interval", 15.0, 1.0)
    attempts = given.integer("attempts", 0, 0) or _attempts(conditions, interval_s)
    missing_s = max(level.no_data_s for level in conditions)
    no_data = given.one_of("no_data", get_args(NoData), "critical" if missing_s else "unknown")
    target = given.text("target") or _common([level.target for level in conditions], "target")
    return Rule(
        name=name,
        target=target or _no_target(),
        whole=given.text("of") or _common([level.whole for level in conditions], "`of`"),
        warning=levels["warning"].range if levels["warning"] else None,
        critical=levels["critical"].range if levels["critical"] else None,
        unit=given.text("unit") or _common([level.unit for level in conditions], "unit"),
        title=given.text("title"),
        window_s=given.seconds("window", 60.0, 1.0),
        interval_s=interval_s,
        before_s=_before([level.before_s for level in conditions]),
        attempts=attempts,
        recovery=recovery.range if recovery else None,
        recovery_attempts=given.integer("recovery_attempts", 1, 1),
        min_count=given.integer("min_count", 0, 0),
        no_data=no_data,  # type: ignore[arg-type]  # one of its values
        no_data_s=given.seconds("no_data_after", missing_s, 0.0),
        quiet_after_deploy_s=given.seconds("quiet_after_deploy", 0.0, 0.0),
        parents=given.texts("parents"),
        severity=given.one_of("severity", _SEVERITIES, "ticket"),
        runbook=given.text("runbook"),
        labels=given.labels(),
        notify=given.flag("notify", True),
        renotify_s=given.seconds("renotify", 0.0, 0.0),
        flap_detection=given.flag("flap_detection", True),
        source=source,
    )


_KEYS = {
    *("target", "of", "warning", "critical", "unit", "title", "window", "interval", "attempts"),
    *("recovery", "recovery_attempts", "min_count", "no_data", "no_data_after"),
    *("quiet_after_deploy", "parents", "severity", "runbook", "labels", "notify", "renotify"),
    "flap_detection",
}


class _Given:
    """Values of a table by key, each read as what it has to be."""

    def __init__(self, table: Mapping[str, object]) -> None:
        self._table = table

    def text(self, key: str) -> str:
        value = self._table.get(key, "")
        if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
            raise ValueError(f"`{key}` must be a text of at most {_LONGEST_TEXT} characters")
        return value.strip()

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._table.get(key, ())
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, (list, tuple)) or not all(isinstance(x, str) for x in value):
            raise ValueError(f"`{key}` must be a list of texts, got {value!r}")
        return tuple(value)

    def one_of(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.text(key) or default
        if value not in allowed:
            raise ValueError(f"`{key}` must be one of {', '.join(allowed)}, got {value!r}")
        return value

    def labels(self) -> dict[str, str]:
        value = self._table.get("labels", {})
        if not isinstance(value, Mapping):
            raise ValueError(f"`labels` must be a table of texts, got {value!r}")
        labels = {str(name): text for name, text in value.items()}
        for name, text in labels.items():
            if not _LABEL.fullmatch(name) or not isinstance(text, str):
                raise ValueError(f"label {name!r} must be a word, and its value a text")
        return labels

    def seconds(self, key: str, default: float, at_least: float) -> float:
        return float(self._read(key, parse_duration, default, at_least, _LONGEST_S))

    def integer(self, key: str, default: int, at_least: int) -> int:
        return int(self._read(key, parse_int, default, at_least, _MOST))

    def flag(self, key: str, default: bool) -> bool:
        return bool(self._read(key, parse_bool, default, False, True))

    def condition(self, key: str) -> Condition | None:
        value = self._table.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise ValueError(f"`{key}` must be a condition or a range, got {value!r}")
        return condition.parse(str(value))

    def _read(
        self, key: str, parser: object, default: float, at_least: float, at_most: float
    ) -> float:
        if key not in self._table:
            return default
        value = self._table[key]
        try:
            parsed: float = parser(value)  # type: ignore[operator]  # one of those of `setting_values`
        except (ValueError, OverflowError) as error:
            raise ValueError(f"`{key}` must be {error}, got {str(value)[:40]}") from None
        if not at_least <= parsed <= at_most:
            text = f"`{key}` must be at least {at_least:g} and at most {at_most:g}"
            raise ValueError(f"{text}, got {str(value)[:40]}")
        return parsed


def _attempts(conditions: list[Condition], interval_s: float) -> int:
    lasting_s = max(level.lasting_s for level in conditions)
    if lasting_s:
        return max(math.ceil(lasting_s / interval_s), 1)
    return max(level.attempts for level in conditions) or 3


def _common(values: list[str], what: str) -> str:
    """The one value that was given; two levels of a rule speak of one thing."""
    given = sorted({value for value in values if value})
    if len(given) > 1:
        raise ValueError(f"warning and critical have different {what}s: {' and '.join(given)}")
    return given[0] if given else ""


def _before(values: list[int]) -> int:
    given = {value for value in values if value}
    if len(given) > 1 or (given and len(given) != len(set(values))):
        raise ValueError("warning and critical must be compared with the same hour, both of them")
    return given.pop() if given else 0


def _no_target() -> str:
    raise ValueError(
        "there is no target: give `target`, or name it in the condition, such as `p95 > 300ms`"
    )
