"""Looking at goods: the front page, categories, product pages, their pictures, and search."""

from __future__ import annotations

from flask import Blueprint, Response, abort, render_template, request

from demo_app.shop.database import connection
from demo_app.shop.goods import CATEGORIES

blueprint = Blueprint("catalog", __name__)

_PAGE_SIZE = 8
_TONES = {
    "black": ("#8c4a2f", "#5d2f1e"),
    "green": ("#7fa650", "#54742f"),
    "oolong": ("#c08a3e", "#8a5f25"),
    "herbal": ("#c9656b", "#94434a"),
    "teaware": ("#64808f", "#425863"),
    "gift-sets": ("#7d6aa0", "#56476f"),
}


@blueprint.get("/")
def home() -> str:
    """What sells best, then everything else by category."""
    best = connection().execute(
        "SELECT * FROM product WHERE id IN (3, 8, 15, 17, 24, 26, 30, 31) ORDER BY id"
    )
    return render_template("home.html", products=best.fetchall())


@blueprint.get("/categories/<slug>")
def category(slug: str) -> str:
    """One category's goods."""
    if slug not in CATEGORIES:
        abort(404)
    found = connection().execute("SELECT * FROM product WHERE category = ? ORDER BY name", (slug,))
    return render_template("listing.html", title=CATEGORIES[slug], products=found.fetchall())


@blueprint.get("/products/<int:product_id>")
def product(product_id: int) -> str:
    """One product, with others of its kind."""
    row = connection().execute("SELECT * FROM product WHERE id = ?", (product_id,)).fetchone()
    if row is None:
        abort(404)
    others = connection().execute(
        "SELECT * FROM product WHERE category = ? AND id <> ? ORDER BY price LIMIT 4",
        (row["category"], product_id),
    )
    return render_template("product.html", product=row, others=others.fetchall())


@blueprint.get("/pictures/<int:product_id>.svg")
def picture(product_id: int) -> Response:
    """A drawing of the tin, in the colours of its category."""
    row = connection().execute("SELECT * FROM product WHERE id = ?", (product_id,)).fetchone()
    if row is None:
        abort(404)
    light, dark = _TONES[row["category"]]
    drawing = render_template("tin.svg", product=row, light=light, dark=dark)
    return Response(
        drawing, mimetype="image/svg+xml", headers={"Cache-Control": "public, max-age=3600"}
    )


@blueprint.get("/search")
def search() -> str:
    """Goods whose name, origin or text holds the words, a page at a time."""
    words = request.args.get("q", "").strip()
    page = int(request.args.get("page", 1))  # crawlers send all sorts of pages
    pattern = f"%{words}%"
    found = connection().execute(
        "SELECT * FROM product WHERE name LIKE ? OR origin LIKE ? OR text LIKE ?"
        " ORDER BY name LIMIT ? OFFSET ?",
        (pattern, pattern, pattern, _PAGE_SIZE, (page - 1) * _PAGE_SIZE),
    )
    return render_template(
        "listing.html",
        title=f"Search: {words}" if words else "All goods",
        products=found.fetchall(),
        words=words,
        page=page,
    )
