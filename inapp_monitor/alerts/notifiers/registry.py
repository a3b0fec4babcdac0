"""Notifiers as a TOML file names them: `[notifiers.NAME]` tables.

[notifiers.ops]
type  = "smtp"
host  = "mail.example.org"
from  = "monitor@example.org"
to    = ["ops@example.org"]
kinds = ["PROBLEM", "RECOVERY"]      # what it is sent; these keys every notifier knows
rules = ["*"]
severities = ["page", "ticket"]
max_per_hour = 60
"""

from __future__ import annotations

import fnmatch
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from inapp_monitor.alerts.notice import Notice
from inapp_monitor.alerts.notifiers.alertmanager import Alertmanager
from inapp_monitor.alerts.notifiers.apprise import Apprise
from inapp_monitor.alerts.notifiers.base import Notifier, Pusher
from inapp_monitor.alerts.notifiers.chat import Chat
from inapp_monitor.alerts.notifiers.heartbeat import Heartbeat
from inapp_monitor.alerts.notifiers.mail import Mail
from inapp_monitor.alerts.notifiers.nagios_pipe import NagiosPipe
from inapp_monitor.alerts.notifiers.ntfy import Ntfy
from inapp_monitor.alerts.notifiers.options import Options
from inapp_monitor.alerts.notifiers.program import Program
from inapp_monitor.alerts.notifiers.webhook import Webhook
from inapp_monitor.alerts.state import Kind
from inapp_monitor.ground.exceptions import ConfigError

MAX_NOTIFIERS = 20
_KINDS = tuple(Kind)
#: What is sent unless a notifier says otherwise: the begin of a downtime is news to nobody.
_DEFAULT_KINDS = ("PROBLEM", "RECOVERY", "ACKNOWLEDGEMENT", "FLAPPINGSTART", "FLAPPINGSTOP")

_NOTIFIERS: dict[str, Callable[[Options], Notifier]] = {
    "smtp": Mail.read,
    "webhook": Webhook.read,
    "slack": Chat.reader("slack"),
    "mattermost": Chat.reader("mattermost"),
    "discord": Chat.reader("discord"),
    "ntfy": Ntfy.read,
    "apprise": Apprise.read,
}
_PUSHERS: dict[str, Callable[[Options], Pusher]] = {
    "nagios": NagiosPipe.read,
    "heartbeat": Heartbeat.read,
}
TYPES = (*_NOTIFIERS, "exec", *_PUSHERS, "alertmanager")


@dataclass(frozen=True, slots=True)
class Channel:
    """One notifier of the file with what it is sent.

    Attributes:
        name, type: As in the file.
        notifier: For notices; or None.
        pusher: For snapshots; or None.
        kinds, rules, severities: What it is sent: kinds, globs of rules' names, severities.
        max_per_hour: Notices an hour; further ones wait and come as one.
    """

    name: str
    type: str
    notifier: Notifier | None
    pusher: Pusher | None
    kinds: tuple[str, ...]
    rules: tuple[str, ...]
    severities: tuple[str, ...]
    max_per_hour: int

    def wants(self, notice: Notice) -> bool:
        """Whether a notice is for it."""
        return (
            self.notifier is not None
            and notice.kind in self.kinds
            and notice.severity in self.severities
            and any(fnmatch.fnmatchcase(notice.rule, glob) for glob in self.rules)
        )


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What notifiers need to know beside their tables.

    Attributes:
        app: The application's name.
        link: Address of the dashboard; "" when it is not known.
        programs: Whether programs may be started.
    """

    app: str = ""
    link: str = ""
    programs: bool = False


def read(path: Path, around: Surroundings) -> list[Channel]:
    """The notifiers of a file.

    Raises:
        ConfigError: it cannot be read, or one of its tables is wrong: it says which and why.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"notifiers {str(path)!r}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"notifiers {str(path)!r} is not TOML: {error}") from None
    try:
        return parse(document, around)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def parse(document: Mapping[str, object], around: Surroundings) -> list[Channel]:
    """The notifiers of a document.

    Raises:
        ValueError: as `read`.
    """
    tables = document.get("notifiers", {})
    unknown = sorted(set(document) - {"notifiers"})
    if unknown or not isinstance(tables, Mapping):
        name = unknown[0] if unknown else "notifiers"
        raise ValueError(f"unexpected {name!r}; expected tables such as [notifiers.ops]")
    if len(tables) > MAX_NOTIFIERS:
        raise ValueError(f"{len(tables)} notifiers: at most {MAX_NOTIFIERS}")
    return [_channel(str(name), table, around) for name, table in tables.items()]


def _channel(name: str, table: object, around: Surroundings) -> Channel:
    if not isinstance(table, Mapping) or not name.isidentifier() or len(name) > 60:
        raise ValueError(f"notifier {name!r} must be a table [notifiers.NAME], its name a word")
    options = Options(name, table)
    kind = options.one_of("type", TYPES, "")
    kinds = options.texts("kinds", _DEFAULT_KINDS)
    for each in kinds:
        if each not in _KINDS:
            raise options.error("kinds", f"among {', '.join(_KINDS)}", each)
    channel = Channel(
        name=name,
        type=kind,
        notifier=_notifier(kind, options, around),
        pusher=_pusher(kind, options, around),
        kinds=kinds,
        rules=options.texts("rules", ("*",)),
        severities=options.texts("severities", ("page", "ticket")),
        max_per_hour=options.integer("max_per_hour", 60, 1, 10_000),
    )
    options.done()
    return channel


def _notifier(kind: str, options: Options, around: Surroundings) -> Notifier | None:
    if kind == "exec":
        return Program.read(options, allowed=around.programs)
    make = _NOTIFIERS.get(kind)
    return make(options) if make is not None else None


def _pusher(kind: str, options: Options, around: Surroundings) -> Pusher | None:
    if kind == "alertmanager":
        return Alertmanager.read(options, around.app, around.link)
    make = _PUSHERS.get(kind)
    return make(options) if make is not None else None
