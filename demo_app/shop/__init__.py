"""Kettle & Leaf, a tea shop: a Flask app over SQLite, in one blueprint a module.

It is an ordinary app with ordinary flaws (a link that went stale, a report with a poor query, a
voucher that breaks on some carts), so that there is something to see. No module here may import
the monitor.
"""

from __future__ import annotations

from pathlib import Path

from flask import Flask, render_template
from werkzeug.exceptions import HTTPException

from demo_app.shop import account, cart, catalog, checkout, database, reports
from demo_app.shop.goods import CATEGORIES


def create_app(database_file: Path) -> Flask:
    """The shop; `database_file` is made and filled when it is not there yet."""
    database.ensure(database_file)
    app = Flask(__name__)
    app.config["DATABASE"] = database_file
    app.secret_key = database.secret_key(database_file)
    app.jinja_env.filters["money"] = money
    app.jinja_env.globals["categories"] = CATEGORIES
    app.teardown_appcontext(database.close)
    for part in (catalog, cart, checkout, account, reports):
        app.register_blueprint(part.blueprint)
    app.context_processor(cart.basket_size)
    app.register_error_handler(404, _not_found)
    app.register_error_handler(500, _server_error)
    return app


def money(cents: int) -> str:
    """An amount in euro cents as people read it."""
    return f"€ {cents / 100:,.2f}"


def _not_found(_error: HTTPException) -> tuple[str, int]:
    return render_template("message.html", title="This page is not here", text=_LOST), 404


def _server_error(_error: HTTPException) -> tuple[str, int]:
    return render_template("message.html", title="Something broke", text=_BROKEN), 500


_LOST = "The link you followed may be out of date."
_BROKEN = "It is our fault. We have been told and are looking into it."
