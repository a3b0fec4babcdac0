"""Accounts: register or sign in by address alone (it is a demo), and a page for who did."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from flask import (
    Blueprint,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from werkzeug.wrappers import Response

from demo_app.shop import events
from demo_app.shop.database import connection

blueprint = Blueprint("account", __name__, url_prefix="/account")


@blueprint.get("/")
def show() -> str | Response:
    """The visitor's own page; whoever is not signed in is sent to do so."""
    if "email" not in session:
        return redirect(url_for("account.sign_in"))
    return render_template("account.html", email=session["email"])


@blueprint.get("/sign-in")
def sign_in() -> str:
    """The form for an address."""
    return render_template("sign_in.html")


@blueprint.post("/register")
def register() -> Response:
    """Take the address: a new one becomes a user, a known one is signed in."""
    email = request.form.get("email", "").strip().lower()
    if "@" not in email:
        abort(400)
    opened = connection()
    try:
        with opened:
            opened.execute(
                "INSERT INTO user (email, since) VALUES (?, ?)",
                (email, datetime.now(UTC).isoformat(timespec="seconds")),
            )
    except sqlite3.IntegrityError:
        pass  # known already
    else:
        events.user_registered.send(current_app._get_current_object())  # type: ignore[attr-defined]
    session["email"] = email
    return redirect(url_for("account.show"), 303)
