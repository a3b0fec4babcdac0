"""The shop's SQLite file: made and filled once, then one connection a request."""

from __future__ import annotations

import os
import random
import secrets
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flask import current_app, g

from demo_app.shop.goods import CATEGORIES, GOODS, VOUCHERS

_SCHEMA = Path(__file__).with_name("schema.sql")
_HISTORY_DAYS = 90
_ORDERS_A_DAY = 40


def connection() -> sqlite3.Connection:
    """This request's connection; `close` ends it."""
    if "connection" not in g:
        g.connection = connect(current_app.config["DATABASE"])
    result: sqlite3.Connection = g.connection
    return result


def close(_error: BaseException | None = None) -> None:
    """End this request's connection, if it had one."""
    held = g.pop("connection", None)
    if held is not None:
        held.close()


def connect(database_file: Path) -> sqlite3.Connection:
    """A connection of its own, for work that outlives the request: close it yourself.

    In any thread: an answer that nobody reads to its end is closed by the garbage collector.
    """
    opened = sqlite3.connect(database_file, timeout=10, check_same_thread=False)
    opened.row_factory = sqlite3.Row
    return opened


def secret_key(database_file: Path) -> bytes:
    """The key that signs session cookies, the same in every worker."""
    with closing(connect(database_file)) as opened:
        row = opened.execute("SELECT value FROM setting WHERE name = 'secret_key'").fetchone()
        return bytes(row["value"])


def ensure(database_file: Path) -> None:
    """Make and fill the file unless it is there; several workers may try at once."""
    if database_file.exists():
        return
    database_file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=database_file.parent, suffix=".draft")
    os.close(descriptor)
    draft = Path(name)
    with closing(connect(draft)) as opened, opened:
        _fill(opened)
    with closing(connect(draft)) as opened:
        opened.execute("PRAGMA journal_mode = WAL")
    try:
        os.link(draft, database_file)  # fails when another worker was first: its file is as good
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _fill(opened: sqlite3.Connection) -> None:
    opened.executescript(_SCHEMA.read_text("utf-8"))
    opened.execute("INSERT INTO setting VALUES ('secret_key', ?)", (secrets.token_bytes(32),))
    opened.executemany("INSERT INTO category VALUES (?, ?)", CATEGORIES.items())
    opened.executemany("INSERT INTO voucher VALUES (?, ?)", VOUCHERS.items())
    opened.executemany(
        "INSERT INTO product (name, category, price, origin, text, organic)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        GOODS,
    )
    opened.executemany(
        "INSERT INTO line (purchase, product, quantity, price) VALUES (?, ?, ?, ?)",
        list(_past_orders(opened)),
    )


def _past_orders(opened: sqlite3.Connection) -> Iterator[tuple[int, int, int, int]]:
    chance = random.Random(7)  # the same past in every new shop
    today = datetime.now(UTC).date()
    for age in range(_HISTORY_DAYS, 0, -1):
        day = (today - timedelta(days=age)).isoformat()
        for _ in range(chance.randint(_ORDERS_A_DAY // 2, _ORDERS_A_DAY * 3 // 2)):
            picks = chance.sample(range(len(GOODS)), chance.choice((1, 1, 2, 2, 3, 5)))
            lines = [(n + 1, chance.choice((1, 1, 1, 2)), GOODS[n].price) for n in picks]
            total = sum(quantity * price for _, quantity, price in lines)
            country = chance.choice(("DE", "DE", "AT", "CH", "FR"))
            order = opened.execute(
                "INSERT INTO purchase (day, country, total) VALUES (?, ?, ?)", (day, country, total)
            )
            for line in lines:
                yield (order.lastrowid or 0, *line)
