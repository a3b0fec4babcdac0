"""The notice as JSON to an address of one's own, signed when a secret is given.

`X-Inapp-Monitor-Signature: sha256=HEX` is the HMAC-SHA256, under the secret, of the time in
`X-Inapp-Monitor-Timestamp`, a dot, and the body.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass

from inapp_monitor.alerts.notice import Notice
from inapp_monitor.alerts.notifiers.http import Address, address_of, request
from inapp_monitor.alerts.notifiers.options import Options
from inapp_monitor.ground.clock import SYSTEM


@dataclass(frozen=True, slots=True)
class Webhook:
    """Sends to one address."""

    address: Address
    secret: str
    token: str

    @classmethod
    def read(cls, options: Options) -> Webhook:
        """From its table: `url`, `secret`, `token`.

        Raises:
            ValueError: see `Options`.
        """
        return cls(address_of(options), options.secret("secret", ""), options.secret("token", ""))

    def send(self, notice: Notice) -> None:
        """See `base.Notifier`."""
        body = json.dumps(notice.as_json(), allow_nan=False).encode()
        moment = str(int(SYSTEM.wall()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "inapp-monitor",
            "Idempotency-Key": hashlib.sha256(notice.key.encode("utf-8", "replace")).hexdigest(),
            "X-Inapp-Monitor-Timestamp": moment,
        }
        if self.secret:
            headers["X-Inapp-Monitor-Signature"] = signature(self.secret, moment, body)
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request(self.address, "POST", body, headers)


def signature(secret: str, moment: str, body: bytes) -> str:
    """What the header holds."""
    signed = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256)
    return f"sha256={signed.hexdigest()}"
