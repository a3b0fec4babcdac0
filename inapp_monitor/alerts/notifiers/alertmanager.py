"""Prometheus Alertmanager: the HARD problems of the moment, by its API v2.

Alertmanager ends an alert that is not sent again, so that all are sent each minute, and one that is
over is sent once more with its end. What is in a downtime here is not sent; acknowledged problems
are, because silences are Alertmanager's own. Source: Alertmanager, api/v2/openapi.yaml.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from inapp_monitor.alerts.notifiers.base import Standing
from inapp_monitor.alerts.notifiers.http import Address, address_of, request
from inapp_monitor.alerts.notifiers.options import Options
from inapp_monitor.alerts.status import Status

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,79}", re.ASCII)
#: An alert that was not sent again for so many times its interval has ended.
_ENDS_AFTER = 4
_MOST = 1_000


@dataclass(slots=True)
class Alertmanager:
    """Sends to one Alertmanager."""

    address: Address
    token: str
    labels: Mapping[str, str]
    every_s: float
    link: str
    _firing: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, options: Options, app: str, link: str) -> Alertmanager:
        """From its table: `url`, `token`, `interval`.

        Raises:
            ValueError: see `Options`.
        """
        address = address_of(options).at("/api/v2/alerts")
        every_s = options.seconds("interval", 60.0, 1.0, 3_600.0)
        return cls(address, options.secret("token", ""), {"app": app} if app else {}, every_s, link)

    def push(self, standings: Sequence[Standing], now: float) -> None:
        """See `base.Pusher`."""
        ends = now + _ENDS_AFTER * self.every_s
        problems = [s for s in standings if s.hard_status != Status.OK and not s.silent][:_MOST]
        firing = {(s.rule, s.series): self._alert(s, ends) for s in problems}
        over = [each for key, each in self._firing.items() if key not in firing]
        alerts = [_begun(each, now) for each in firing.values()]
        alerts += [{**_begun(each, now), "endsAt": _time(now)} for each in over]
        if not alerts:
            return
        headers = {"Content-Type": "application/json", "User-Agent": "inapp-monitor"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request(self.address, "POST", json.dumps(alerts).encode(), headers)
        self._firing = firing

    def _alert(self, standing: Standing, ends: float) -> dict[str, Any]:
        labels = {name: text for name, text in standing.labels.items() if _LABEL.fullmatch(name)}
        labels |= {**self.labels, "alertname": standing.rule, "severity": _severity(standing)}
        if standing.series:
            labels["series"] = standing.series
        annotations = {"summary": standing.title, "description": standing.detail}
        if standing.runbook:
            annotations["runbook_url"] = standing.runbook
        alert = {
            "labels": {name: _text(value) for name, value in labels.items()},
            "annotations": {name: _text(value) for name, value in annotations.items() if value},
            "startsAt": _time(standing.since),
            "endsAt": _time(ends),
        }
        if self.link:
            alert["generatorURL"] = f"{self.link}/alerts/{standing.rule}"
        return alert


def _severity(standing: Standing) -> str:
    return Status(standing.hard_status).name.lower()


def _begun(alert: dict[str, Any], now: float) -> dict[str, Any]:
    """After a clock was set back: one alert that begins after its end spoils the whole request."""
    is_ahead = datetime.fromisoformat(alert["startsAt"]).timestamp() > now
    return {**alert, "startsAt": _time(now)} if is_ahead else alert


def _text(value: str) -> str:
    """Alertmanager refuses the whole request for one label that is no UTF-8."""
    return value.encode("utf-8", "replace").decode()


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(max(seconds, 1.0), UTC).isoformat().replace("+00:00", "Z")
