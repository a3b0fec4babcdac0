"""A bad deploy on demand: some time after the start the search is slow, payments fail and every
page links to a stylesheet that is not there. To see what the dashboard makes of it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from flask import Flask, Response, request

from demo_app.mishaps import confirm_payment

#: The stylesheet of a build that was never uploaded.
LOST = "/static/shop.9f3c1d.css"
RELEASE = "2.5.0"


class Fault:
    """What goes wrong, from `after_s` seconds on.

    Args:
        began: Called once, when it begins.
        slow_s: How long every search is held up.
        failing: Share of payments that fail.
    """

    def __init__(
        self,
        after_s: float,
        began: Callable[[], None],
        *,
        slow_s: float = 0.9,
        failing: float = 0.3,
    ) -> None:
        self._begins = time.monotonic() + after_s
        self._began: Callable[[], None] | None = began
        self._slow_s, self._failing = slow_s, failing

    def bring_into(self, app: Flask) -> None:
        """Let it happen to an app."""
        app.before_request(self._before)
        app.after_request(self._after)

    def _is_on(self) -> bool:
        if time.monotonic() < self._begins:
            return False
        began, self._began = self._began, None
        if began is not None:
            began()
        return True

    def _before(self) -> None:
        if not self._is_on():
            return
        if request.endpoint == "catalog.search":
            time.sleep(self._slow_s * random.uniform(0.7, 1.3))
        elif request.endpoint == "checkout.place" and random.random() < self._failing:
            confirm_payment(random.randrange(4_000, 9_000))

    def _after(self, response: Response) -> Response:
        if response.mimetype == "text/html" and not response.is_streamed and self._is_on():
            link = f'<link rel="stylesheet" href="{LOST}"></head>'
            response.set_data(response.get_data().replace(b"</head>", link.encode(), 1))
        return response
