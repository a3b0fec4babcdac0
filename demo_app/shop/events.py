"""What happens in the shop, as signals: others may listen, the shop does not know who."""

from __future__ import annotations

from blinker import signal

order_placed = signal("shop.order-placed")
"""Sent by the app with `total` (cents) and `items`."""

user_registered = signal("shop.user-registered")
"""Sent by the app."""
