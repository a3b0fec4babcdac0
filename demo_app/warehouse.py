"""A collector of the shop's own: what its database holds, sampled every ten seconds."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from demo_app.shop import database
from inapp_monitor import Collector


class ShopDatabase(Collector):
    """Series `shop_database.size_bytes`, `.customers` (gauges) and `.orders` (a growing total)."""

    def __init__(self, database_file: Path) -> None:
        self._file = database_file

    def collect(self) -> None:
        """Count rows: a total such as the orders' becomes what was added in each step."""
        with closing(database.connect(self._file)) as opened:
            (customers,) = opened.execute("SELECT count(*) FROM user").fetchone()
            (orders,) = opened.execute("SELECT max(id) FROM purchase").fetchone()
        self.gauge("size_bytes", self._file.stat().st_size)
        self.gauge("customers", customers)
        self.counter("orders", orders)
