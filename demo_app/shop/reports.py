"""For the shopkeeper: sales by day, slow for a join that no index serves, and all lines as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from flask import Blueprint, Response, current_app, render_template

from demo_app.shop.database import connect, connection

blueprint = Blueprint("reports", __name__, url_prefix="/reports")

_CHUNK_ROWS = 500

# The join goes through an expression, which no index can serve: each order reads all lines.
_SALES = """
WITH recent AS (SELECT * FROM purchase ORDER BY id DESC LIMIT 300),
     sold AS (SELECT * FROM line ORDER BY id DESC LIMIT 3500)
SELECT day,
       count(*) AS orders,
       sum((SELECT sum(quantity) FROM sold WHERE sold.purchase + 0 = recent.id)) AS items,
       sum(total) AS total
FROM recent GROUP BY day ORDER BY day DESC LIMIT 30
"""


@blueprint.get("/sales")
def sales() -> str:
    """Sales by day, the newest first."""
    rows = connection().execute(_SALES).fetchall()
    most = max(row["total"] for row in rows)
    return render_template("sales.html", rows=rows, most=most)


@blueprint.get("/sales.csv")
def sales_csv() -> Response:
    """Every line ever sold, sent while it is read."""
    return Response(
        _csv_chunks(current_app.config["DATABASE"]),
        mimetype="text/csv",
        headers={"Content-Disposition": 'attachment; filename="sales.csv"'},
    )


def _csv_chunks(database_file: Path) -> Iterator[str]:
    """The file in chunks; has a connection of its own, as the request's is gone by then."""
    with closing(connect(database_file)) as opened:
        cursor = opened.execute(
            "SELECT purchase.day, product.name, line.quantity, line.price FROM line"
            " JOIN purchase ON purchase.id = line.purchase"
            " JOIN product ON product.id = line.product ORDER BY line.id"
        )
        yield "day,product,quantity,price_cents\n"
        while rows := cursor.fetchmany(_CHUNK_ROWS):
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(rows)
            yield text.getvalue()
