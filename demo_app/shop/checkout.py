"""Checkout: the address form, the payment, and the page that says thank you."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from flask import (
    Blueprint,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    url_for,
)
from werkzeug.wrappers import Response

from demo_app.shop import cart, events, payment
from demo_app.shop.database import connection
from demo_app.shop.pricing import DELIVERY, Price, price_order

blueprint = Blueprint("checkout", __name__)
logger = logging.getLogger(__name__)


@blueprint.get("/checkout")
def form() -> str | Response:
    """The address form; an empty cart goes back to the cart's page."""
    held = cart.lines()
    if not held:
        return redirect(url_for("cart.show"))
    return render_template("checkout.html", lines=held, countries=sorted(DELIVERY))


@blueprint.post("/checkout")
def place() -> Response | tuple[str, int]:
    """Price, pay and store the order."""
    held = cart.lines()
    country = request.form.get("country", "")
    if not held or country not in DELIVERY:
        abort(400)
    price = price_order(held, country, _voucher_kind(request.form.get("voucher", "")))
    try:
        payment.charge(
            request.form.get("card", ""), price.total, current_app.config.get("PROVIDER")
        )
    except payment.CardDeclinedError as declined:
        logger.warning("card declined: %s", declined, extra={"cents": price.total})
        text = f"Your bank says: {declined}."
        return render_template("message.html", title="The card was declined", text=text), 402
    number = _store(held, country, price)
    logger.info("order %s placed", number, extra={"cents": price.total, "country": country})
    cart.empty()
    events.order_placed.send(
        current_app._get_current_object(),  # type: ignore[attr-defined]
        total=price.total,
        items=sum(line.quantity for line in held),
    )
    return redirect(url_for("checkout.thanks", number=number), 303)


@blueprint.get("/orders/<int:number>/thanks")
def thanks(number: int) -> str:
    """The page after an order."""
    row = connection().execute("SELECT * FROM purchase WHERE id = ?", (number,)).fetchone()
    if row is None:
        abort(404)
    return render_template("thanks.html", order=row)


def _voucher_kind(code: str) -> str | None:
    row = (
        connection()
        .execute("SELECT kind FROM voucher WHERE code = ?", (code.strip().upper(),))
        .fetchone()
    )
    return None if row is None else str(row["kind"])


def _store(held: list[cart.Line], country: str, price: Price) -> int:
    opened = connection()
    with opened:
        order = opened.execute(
            "INSERT INTO purchase (day, country, total) VALUES (?, ?, ?)",
            (datetime.now(UTC).date().isoformat(), country, price.total),
        )
        number = order.lastrowid or 0
        opened.executemany(
            "INSERT INTO line (purchase, product, quantity, price) VALUES (?, ?, ?, ?)",
            [(number, line.product, line.quantity, line.price) for line in held],
        )
    return number
