"""Which retention and which rollup a new series gets. Pure.

Understands the text of Carbon's `storage-schemas.conf` and `storage-aggregation.conf`: sections in
order, the first whose `pattern` is found in the name decides. What they say never changes a series
that exists; `convert` does that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.ground.points import Method
from inapp_monitor.store.retention import Retention

_METHODS = {method.name.lower(): method for method in Method} | {"avg": Method.AVERAGE}
#: Only what arrives as one of these takes the method of a rule: sums are deltas and must add up,
#: extremes must stay extremes.
_NEGOTIABLE = frozenset((Method.AVERAGE, Method.LAST))


@dataclass(frozen=True, slots=True)
class SchemaRule:
    """A section of storage-schemas.conf."""

    name: str
    pattern: re.Pattern[str]
    retention: Retention


@dataclass(frozen=True, slots=True)
class AggregationRule:
    """A section of storage-aggregation.conf; None where it leaves the default."""

    name: str
    pattern: re.Pattern[str]
    x_files_factor: float | None
    method: Method | None


@dataclass(frozen=True, slots=True)
class Schemas:
    """All rules, and what holds when none matches."""

    default: Retention
    retentions: tuple[SchemaRule, ...] = ()
    aggregations: tuple[AggregationRule, ...] = ()

    def retention_for(self, path: str) -> Retention:
        """The archives of a new series."""
        for rule in self.retentions:
            if rule.pattern.search(path):
                return rule.retention
        return self.default

    def rollup_for(self, path: str, method: Method) -> tuple[Method, float]:
        """Method and xFilesFactor of a new series whose points come with a method."""
        for rule in self.aggregations:
            if rule.pattern.search(path):
                if method not in _NEGOTIABLE:
                    return method, 0.0
                return rule.method or method, rule.x_files_factor or 0.0
        return method, 0.0


def parse_schemas(text: str, source: str) -> tuple[SchemaRule, ...]:
    """The rules of a storage-schemas.conf.

    Raises:
        ConfigError: names `source`, the section and what is wrong.
    """
    rules = []
    for name, section in _sections(text, source):
        where = f"{source} [{name}]"
        pattern = _pattern(section, where)
        if "retentions" not in section:
            raise ConfigError(f"{where}: retentions is missing")
        try:
            rules.append(SchemaRule(name, pattern, Retention.parse(section["retentions"])))
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
    return tuple(rules)


def parse_aggregations(text: str, source: str) -> tuple[AggregationRule, ...]:
    """The rules of a storage-aggregation.conf.

    Raises:
        ConfigError: names `source`, the section and what is wrong.
    """
    rules = []
    for name, section in _sections(text, source):
        where = f"{source} [{name}]"
        factor: float | None = None
        if "xfilesfactor" in section:
            try:
                factor = float(section["xfilesfactor"])
            except ValueError:
                factor = -1.0
            if not 0.0 <= factor <= 1.0:
                raise ConfigError(f"{where}: xFilesFactor must be a number from 0 to 1")
        method: Method | None = None
        if "aggregationmethod" in section:
            method = _METHODS.get(section["aggregationmethod"].strip().lower())
            if method is None:
                raise ConfigError(
                    f"{where}: aggregationMethod must be one of {', '.join(sorted(_METHODS))}"
                )
        rules.append(AggregationRule(name, _pattern(section, where), factor, method))
    return tuple(rules)


def _sections(text: str, source: str) -> list[tuple[str, dict[str, str]]]:
    import configparser  # most apps have no such file

    parser = configparser.RawConfigParser(default_section="", strict=True)
    try:
        parser.read_string(text, source)
    except configparser.Error as error:
        raise ConfigError(f"{source}: {error}".replace("\n", " ")) from None
    return [(name, dict(parser.items(name))) for name in parser.sections()]


def _pattern(section: dict[str, str], where: str) -> re.Pattern[str]:
    if "pattern" not in section:
        raise ConfigError(f"{where}: pattern is missing")
    try:
        return re.compile(section["pattern"])
    except re.error as error:
        raise ConfigError(f"{where}: pattern is no regular expression: {error}") from None
