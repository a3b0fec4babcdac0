"""Rules as TOML, as they lie beside the app's code: `[rules.NAME]` tables, see `rule`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from inapp_monitor.alerts import built_in
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.ground.exceptions import ConfigError

#: Rules of one monitor.
MAX_RULES = 1_000


def read(path: Path) -> list[Rule]:
    """The rules of a file, or of all `*.toml` files of a directory.

    Raises:
        ConfigError: a file cannot be read, or one of its rules is wrong: it says which, and what
            was expected.
    """
    try:
        files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        texts = [(file, file.read_text("utf-8")) for file in files]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"alert rules {str(path)!r}: {error}") from None
    rules: dict[str, Rule] = {}
    for file, text in texts:
        for rule in parse(text, str(file)):
            if rule.name in rules:
                raise ConfigError(f"{file}: rule {rule.name!r} is in {rules[rule.name].source} too")
            rules[rule.name] = rule
    return list(rules.values())


def parse(text: str, source: str) -> list[Rule]:
    """The rules of a TOML text.

    Raises:
        ConfigError: as `read`.
    """
    import tomllib  # most apps have no such file

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source} is not TOML: {error}") from None
    tables = document.pop("rules", {})
    if document:
        name = sorted(document)[0]
        raise ConfigError(f"{source}: unknown {name!r}; expected tables such as [rules.slow]")
    if not isinstance(tables, dict) or len(tables) > MAX_RULES:
        raise ConfigError(f"{source}: rules must be at most {MAX_RULES} tables [rules.NAME]")
    rules = []
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            raise ConfigError(f"{source}: rule {name!r} must be a table [rules.{name}]")
        try:
            rules.append(built_in.rule_of(name, table, source))
        except ValueError as error:
            raise ConfigError(f"{source}: {error}") from None
    return rules
