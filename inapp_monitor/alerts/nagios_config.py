"""Objects for Nagios, Icinga 1 or Shinken, made of rules: a service a rule. Pure.

Active services run `inapp-monitor check RULE`; passive ones wait for what the notifier `nagios`
writes to the command file, and are UNKNOWN when it stops. Attempts are counted by the monitor, so
that Nagios notifies of the first result that is not OK.
"""

from __future__ import annotations

from collections.abc import Iterable

from inapp_monitor.alerts.nagios_output import name as safe_name
from inapp_monitor.alerts.rule import Rule

_FRESH_S = 180
_STALE = "/bin/sh -c 'echo \"UNKNOWN: no result came for some minutes\"; exit 3'"


def objects(
    rules: Iterable[Rule],
    host: str,
    command: str,
    *,
    passive: bool = False,
    prefix: str = "",
    template: str = "",
) -> str:
    """The definitions of a command and a service for each rule.

    Args:
        host: The host's name in Nagios.
        command: What runs the plugin, such as `/usr/bin/inapp-monitor check -u URL -a FILE`.
        passive: Whether results come by the command file.
        prefix: Put before each service's name, as in the notifier.
        template: A service template of yours to `use`.
    """
    lines = ["# Written by inapp-monitor export --nagios: a service a rule.", ""]
    if passive:
        lines += _definition(
            "command",
            {
                "command_name": "inapp_monitor_stale",
                "command_line": _STALE,
            },
        )
    else:
        lines += _definition(
            "command",
            {"command_name": "inapp_monitor", "command_line": f"{command} $ARG1$"},
        )
    for rule in rules:
        lines += _definition("service", _service(rule, host, passive, prefix, template))
    return "\n".join(lines)


def _service(rule: Rule, host: str, passive: bool, prefix: str, template: str) -> dict[str, str]:
    fields = {"use": template} if template else {}
    fields |= {
        "host_name": safe_name(host),
        "service_description": safe_name(prefix + rule.name),
        "display_name": safe_name(rule.title or rule.name),
        "check_command": "inapp_monitor_stale" if passive else f"inapp_monitor!{rule.name}",
        "max_check_attempts": "1",
        "check_interval": "1",
        "retry_interval": "1",
        "active_checks_enabled": "0" if passive else "1",
        "passive_checks_enabled": "1",
    }
    if passive:
        fields |= {"check_freshness": "1", "freshness_threshold": str(_FRESH_S)}
    if not template:
        fields |= {
            "check_period": "24x7",
            "notification_period": "24x7",
            "contact_groups": "admins",
        }
    if rule.runbook:
        fields["notes_url"] = "".join(c for c in rule.runbook if c.isprintable() and c not in ";\\")
    return fields


def _definition(kind: str, fields: dict[str, str]) -> list[str]:
    width = max(map(len, fields))
    return [
        f"define {kind} {{",
        *(f"    {name:{width}}  {text}" for name, text in fields.items()),
        "}",
        "",
    ]
