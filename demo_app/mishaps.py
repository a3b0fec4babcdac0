"""What went wrong in the demo's made-up past: functions that raise, as an app's own code would.

Some go through the shop's code, so that stacks have more than one frame and causes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from demo_app.shop.cart import Line
from demo_app.shop.payment import charge
from demo_app.shop.pricing import price_order


class PaymentProviderError(Exception):
    """The provider of payments answered something else than it promised."""


def pay_by_card(order: int) -> None:
    """Too much for the card."""
    charge("4242 4242 4242 4242", 41_000 + order)


def apply_voucher(order: int) -> None:
    """A voucher for goods that it knows no rate for."""
    basket = [Line(30, "Gift set Darjeeling", "gifts", 1 + order % 2, 3_900)]
    price_order(basket, "DE", "seasonal")


def reserve_stock(order: int) -> None:
    """The warehouse keeps us waiting."""
    raise TimeoutError(f"warehouse did not answer within 2 s (order {4_000 + order})")


def read_article(number: int) -> None:
    """An article that was saved in another encoding."""
    (b"Caf\xe9 %d" % number).decode("utf-8")


def parse_amount(number: int) -> None:
    """A decimal comma."""
    float(f"{12 + number % 5},50")


def read_stock(item: int) -> None:
    """A table that a migration renamed."""
    sqlite3.connect(":memory:").execute("select level from stock_2024 where item = ?", (item,))


def confirm_payment(order: int) -> None:
    """The provider's new answer lacks what the old one had."""
    answer: dict[str, object] = {"status": "accepted", "order": order}
    try:
        answer["receipt"]
    except KeyError as error:
        text = "no receipt in the answer of the payment provider"
        raise PaymentProviderError(text) from error


def answer(problem: Callable[[int], None], number: int) -> Exception:
    """What a request failed with."""
    try:
        problem(number)
    except Exception as error:  # noqa: BLE001  # that is what it is for
        return error
    raise RuntimeError(f"{problem} raised nothing")


PROBLEMS: dict[str, Callable[[int], None]] = {
    "card": pay_by_card,
    "voucher": apply_voucher,
    "warehouse": reserve_stock,
    "text": read_article,
    "amount": parse_amount,
    "table": read_stock,
    "provider": confirm_payment,
}
