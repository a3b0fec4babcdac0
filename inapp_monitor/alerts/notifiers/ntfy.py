"""ntfy (ntfy.sh or one's own): its JSON publishing, so that no text gets into a header."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from inapp_monitor.alerts import words
from inapp_monitor.alerts.nagios_output import cut
from inapp_monitor.alerts.notice import Notice
from inapp_monitor.alerts.notifiers.http import Address, address_of, request
from inapp_monitor.alerts.notifiers.options import Options
from inapp_monitor.ground.visible_text import visible, visible_line

_PRIORITIES = {"CRITICAL": 5, "WARNING": 4, "UNKNOWN": 3, "OK": 3}
_TAGS = {"CRITICAL": "rotating_light", "WARNING": "warning", "UNKNOWN": "grey_question"}
#: ntfy makes a file of a message that is longer than 4,096 bytes.
_LONGEST = 4_000


@dataclass(frozen=True, slots=True)
class Ntfy:
    """Sends to one topic."""

    address: Address
    topic: str
    token: str

    @classmethod
    def read(cls, options: Options) -> Ntfy:
        """From its table: `url` with the topic as its last part, `token`.

        Raises:
            ValueError: see `Options`.
        """
        address = address_of(options)
        root, _, topic = address.path.rpartition("/")
        if not topic or "?" in topic:
            raise options.error(
                "url", "an address with a topic, such as https://ntfy.sh/alerts", None
            )
        return cls(replace(address, path=root or "/"), topic, options.secret("token", ""))

    def send(self, notice: Notice) -> None:
        """See `base.Notifier`."""
        status = "OK" if notice.kind == "RECOVERY" else notice.status
        lines = [visible(notice.detail), *map(visible_line, notice.lines)]
        lines += [f"{name}: {text}" for name, text in words.facts(notice)]
        document: dict[str, object] = {
            "topic": self.topic,
            "title": words.subject(notice),
            "message": cut("\n".join(line for line in lines if line), _LONGEST),
            "priority": _PRIORITIES.get(status, 3) if notice.is_problem else 3,
            "tags": [_TAGS.get(status, "white_check_mark")],
        }
        if "rule" in notice.links:
            document["click"] = notice.links["rule"]
        document["actions"] = [
            {"action": "view", "label": name.capitalize(), "url": address}
            for name, address in notice.links.items()
        ][:3]
        headers = {"Content-Type": "application/json", "User-Agent": "inapp-monitor"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request(self.address, "POST", json.dumps(document).encode(), headers)
