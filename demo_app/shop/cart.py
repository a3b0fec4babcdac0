"""The cart: product numbers and quantities in the signed session cookie."""

from __future__ import annotations

import json
from typing import NamedTuple

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from demo_app.shop.database import connection

blueprint = Blueprint("cart", __name__)

_MOST_OF_ONE = 20


class Line(NamedTuple):
    """One product in the cart; `price` in cents for one."""

    product: int
    name: str
    category: str
    quantity: int
    price: int


def lines() -> list[Line]:
    """What is in this visitor's cart, in the order of the catalogue."""
    held = _quantities()
    rows = connection().execute(
        "SELECT id, name, category, price FROM product"
        " WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json.dumps([int(number) for number in held]),),
    )
    return [
        Line(row["id"], row["name"], row["category"], held[str(row["id"])], row["price"])
        for row in rows.fetchall()
    ]


def empty() -> None:
    """Take everything out."""
    session.pop("cart", None)


def basket_size() -> dict[str, int]:
    """For the page header: how many things are in the cart."""
    return {"basket_size": sum(_quantities().values())}


@blueprint.get("/cart")
def show() -> str:
    """The cart's page."""
    held = lines()
    return render_template(
        "cart.html", lines=held, total=sum(line.quantity * line.price for line in held)
    )


@blueprint.post("/cart/add")
def add() -> Response:
    """Put a product in; the form sends `product` and `quantity`."""
    number = request.form.get("product", type=int)
    quantity = request.form.get("quantity", 1, type=int)
    if number is None or not 1 <= quantity <= _MOST_OF_ONE:
        abort(400)
    known = connection().execute("SELECT 1 FROM product WHERE id = ?", (number,)).fetchone()
    if known is None:
        abort(404)
    held = _quantities()
    held[str(number)] = min(held.get(str(number), 0) + quantity, _MOST_OF_ONE)
    session["cart"] = held
    return redirect(url_for("cart.show"), 303)


@blueprint.post("/cart/remove")
def remove() -> Response:
    """Take a product out."""
    held = _quantities()
    held.pop(request.form.get("product", ""), None)
    session["cart"] = held
    return redirect(url_for("cart.show"), 303)


def _quantities() -> dict[str, int]:
    return dict(session.get("cart", {}))
