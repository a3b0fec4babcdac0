"""What an order costs: goods, voucher and delivery. Knows no request and no database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from demo_app.shop.cart import Line

DELIVERY = {"DE": 490, "AT": 790, "CH": 1290, "FR": 890}
_FREE_DELIVERY_FROM = 7_500

# Percent off by category, as agreed for the season.
_SEASONAL_RATES = {"black": 10, "green": 10, "oolong": 15, "herbal": 20, "teaware": 5}


class PricingError(Exception):
    """An order whose price cannot be told."""


class Price(NamedTuple):
    """All in cents; `total` is what is paid."""

    goods: int
    discount: int
    delivery: int
    total: int


def price_order(lines: Sequence[Line], country: str, voucher: str | None) -> Price:
    """The price of an order.

    Args:
        lines: What is bought.
        country: Where it goes, a key of `DELIVERY`.
        voucher: The kind of the voucher used (`seasonal`, `fixed`), or None.

    Raises:
        PricingError: the price cannot be told.
    """
    goods = sum(line.quantity * line.price for line in lines)
    discount = _discount(lines, goods, voucher)
    delivery = 0 if goods - discount >= _FREE_DELIVERY_FROM else DELIVERY[country]
    return Price(goods, discount, delivery, goods - discount + delivery)


def _discount(lines: Sequence[Line], goods: int, voucher: str | None) -> int:
    if voucher is None:
        return 0
    if voucher == "fixed":
        return min(500, goods)
    try:
        return sum(_seasonal_discount(line) for line in lines)
    except KeyError as error:
        raise PricingError(f"no {voucher} discount for an order of {len(lines)} lines") from error


def _seasonal_discount(line: Line) -> int:
    rate = _SEASONAL_RATES[line.category]
    return line.quantity * line.price * rate // 100
