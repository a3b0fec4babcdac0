"""A bad deploy on demand: some time after the start the search is slow for one statement, payments
wait for their provider and some then fail, categories ask for each product by itself, the cart
computes, and every page links to a stylesheet that is not there. To see what the dashboard makes of
it.
"""

from __future__ import annotations

import difflib
import random
import time
from collections.abc import Callable

from flask import Flask, Response, request

from demo_app.mishaps import confirm_payment
from demo_app.provider import PaymentProvider
from demo_app.shop.database import connection

#: The stylesheet of a build that was never uploaded.
LOST = "/static/shop.9f3c1d.css"
RELEASE = "2.5.0"
#: How long the provider of payments then takes.
_PROVIDER_S = 0.15
#: How many pairs of goods the cart then compares.
_PAIRS = 400


class Fault:
    """What goes wrong, from `after_s` seconds on.

    Args:
        began: Called once, when it begins.
        provider: Of payments, which becomes slow.
        slow_s: How long every search is held up.
        failing: Share of payments that fail.
    """

    def __init__(
        self,
        after_s: float,
        began: Callable[[], None],
        provider: PaymentProvider | None = None,
        *,
        slow_s: float = 0.9,
        failing: float = 0.3,
    ) -> None:
        self._provider = provider
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
            if self._provider is not None:
                self._provider.slow_s = _PROVIDER_S
        return True

    def _before(self) -> None:
        if not self._is_on():
            return
        if request.endpoint == "catalog.search":
            rank_by_likeness(request.args.get("q", ""), self._slow_s * random.uniform(0.7, 1.3))
        elif request.endpoint == "catalog.category":
            count_sold((request.view_args or {}).get("slug", ""))
        elif request.endpoint == "cart.show":
            suggest_goods()
        elif request.endpoint == "checkout.place" and random.random() < self._failing:
            self._fail_payment(random.randrange(4_000, 9_000))

    def _fail_payment(self, order: int) -> None:
        """What fails is the provider's answer, so it has been waited for."""
        if self._provider is not None:
            self._provider.accepts(f"R-{order}")
        confirm_payment(order)

    def _after(self, response: Response) -> Response:
        if response.mimetype == "text/html" and not response.is_streamed and self._is_on():
            link = f'<link rel="stylesheet" href="{LOST}"></head>'
            response.set_data(response.get_data().replace(b"</head>", link.encode(), 1))
        return response


def rank_by_likeness(words: str, takes_s: float) -> None:
    """One slow statement: a function that the database calls for each product."""
    opened = connection()
    (count,) = opened.execute("SELECT count(*) FROM product").fetchone()

    def likeness(_name: str, _words: str) -> float:
        time.sleep(takes_s / count)
        return 1.0

    opened.create_function("likeness", 2, likeness)
    opened.execute("SELECT max(likeness(name, ?)) FROM product", (words,)).fetchone()


def count_sold(category: str) -> None:
    """One statement a product, where one for all would do."""
    opened = connection()
    found = opened.execute("SELECT id FROM product WHERE category = ?", (category,)).fetchall()
    latest = "SELECT max(id) - 20000 FROM line"
    for row in found:
        sql = f"SELECT sum(quantity) FROM line WHERE product = ? AND id > ({latest})"  # noqa: S608
        opened.execute(sql, (row["id"],)).fetchone()


def suggest_goods() -> None:
    """The shop's own code, computing."""
    rows = connection().execute("SELECT name, text FROM product").fetchall()
    pairs = [(one["text"], other["text"]) for one in rows for other in rows][:_PAIRS]
    max(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)
