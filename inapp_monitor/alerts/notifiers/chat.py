"""Slack, Mattermost and Discord: their incoming webhooks take a text each in its own markup.

Nothing in a name or message may act there: no mention of a channel, no link, no formatting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from inapp_monitor.alerts import words
from inapp_monitor.alerts.notice import Notice
from inapp_monitor.alerts.notifiers.http import Address, address_of, request
from inapp_monitor.alerts.notifiers.options import Options
from inapp_monitor.ground.visible_text import visible_line

Service = Literal["slack", "mattermost", "discord"]
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~:@])")
_COLOURS = {"OK": 0x1A7F37, "WARNING": 0x9A6700, "CRITICAL": 0xCF222E, "UNKNOWN": 0x57606A}
#: Longest texts that the services take, with room to spare.
_MOST = {"slack": 2_800, "mattermost": 3_800, "discord": 1_900}


@dataclass(frozen=True, slots=True)
class Chat:
    """Sends to one incoming webhook."""

    service: Service
    address: Address

    @classmethod
    def reader(cls, service: Service) -> Callable[[Options], Chat]:
        """What makes one from its table: `url`."""
        return lambda options: cls(service, address_of(options))

    def send(self, notice: Notice) -> None:
        """See `base.Notifier`."""
        body = json.dumps(payload(self.service, notice)).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "inapp-monitor"}
        request(self.address, "POST", body, headers)


def payload(service: Service, notice: Notice) -> dict[str, Any]:
    """What the service is sent."""
    escape = _slack if service == "slack" else _markdown
    link = _slack_link if service == "slack" else _markdown_link
    lines = [escape(notice.detail)] if notice.detail else []
    lines += [f"• {escape(line)}" for line in notice.lines]
    rows = [(name, value) for name, value in words.facts(notice) if name != "severity"]
    lines += [f"{name}: {escape(value)}" for name, value in rows]
    links = [link(name, address) for name, address in notice.links.items()]
    body = _cut("\n".join(lines), _MOST[service] - sum(map(len, links)) - 300)
    body += "\n" + " · ".join(links) if links else ""
    title = _cut(escape(words.subject(notice)), 280)
    colour = _COLOURS.get(notice.status, _COLOURS["UNKNOWN"])
    if service == "discord":
        return {"content": f"**{title}**\n{body}", "allowed_mentions": {"parse": []}}
    attachment = {"color": f"#{colour:06x}", "text": body, "fallback": title}
    return {
        "text": f"*{title}*" if service == "slack" else f"**{title}**",
        "attachments": [attachment],
    }


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(most - 1, 0)].rstrip("\\&") + "…"


def _slack(text: str) -> str:
    shown = visible_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return shown.replace("*", "\u2217").replace("`", "\u02cb").replace("@", "@\u200b")


def _markdown(text: str) -> str:
    """Escaped, and without a mention: a zero-width space follows each `@`."""
    return _MARKDOWN.sub(r"\\\1", visible_line(text)).replace("@", "@\u200b")


def _slack_link(name: str, address: str) -> str:
    return f"<{address}|{name.capitalize()}>"


def _markdown_link(name: str, address: str) -> str:
    return (
        f"[{name.capitalize()}](<{address}>)"
        if ")" in address
        else f"[{name.capitalize()}]({address})"
    )
