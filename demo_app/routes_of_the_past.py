"""What the demo's made-up past is about: fifty routes of a shop, its incidents, its 404s.

Data only: `history` writes it down, `mishaps` raises what went wrong. A `Plot` holds all of it, so
that a past of another app can be written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from demo_app import mishaps


class Route(NamedTuple):
    """One route as it usually is.

    Attributes:
        rate: Requests a second, on average over a week.
        median_ms: Of its durations, which spread log-normally.
    """

    method: str
    template: str
    rate: float
    median_ms: float
    spread: float = 0.5


ROUTES = (
    Route("GET", "/", 2.2, 14),
    Route("GET", "/categories/<slug>", 1.6, 22),
    Route("GET", "/products/<int:product_id>", 3.4, 31),
    Route("GET", "/pictures/<int:product_id>.svg", 4.1, 2.4, 0.35),
    Route("GET", "/static/<path:filename>", 2.8, 0.9, 0.3),
    Route("GET", "/search", 1.1, 64, 0.6),
    Route("GET", "/cart", 0.55, 18),
    Route("POST", "/cart/add", 0.34, 26),
    Route("POST", "/cart/remove", 0.05, 21),
    Route("GET", "/checkout", 0.31, 29),
    Route("POST", "/checkout", 0.24, 98, 0.4),
    Route("GET", "/orders/<int:number>/thanks", 0.21, 17),
    Route("GET", "/account/", 0.12, 20),
    Route("GET", "/account/sign-in", 0.08, 9),
    Route("POST", "/account/register", 0.012, 160, 0.3),
    Route("GET", "/reports/sales", 0.006, 170, 0.35),
    Route("GET", "/reports/sales.csv", 0.003, 140, 0.3),
    Route("GET", "/api/products", 0.42, 44),
    Route("GET", "/api/products/<int:product_id>", 0.6, 16),
    Route("GET", "/api/stock/<int:product_id>", 0.9, 7),
    Route("PUT", "/api/stock/<int:product_id>", 0.04, 33),
    Route("GET", "/api/orders", 0.09, 71),
    Route("POST", "/api/orders", 0.03, 96),
    Route("GET", "/api/orders/<int:number>", 0.13, 24),
    Route("PATCH", "/api/orders/<int:number>", 0.02, 52),
    Route("GET", "/api/suggest", 1.3, 6, 0.7),
    Route("POST", "/api/voucher", 0.03, 28),
    Route("GET", "/api/reviews/<int:product_id>", 0.5, 38),
    Route("POST", "/api/reviews/<int:product_id>", 0.008, 47),
    Route("GET", "/teas/<slug>", 0.4, 27),
    Route("GET", "/teas/<slug>/brewing", 0.07, 19),
    Route("GET", "/gifts", 0.1, 34),
    Route("GET", "/gifts/<slug>", 0.08, 30),
    Route("GET", "/blog", 0.15, 25),
    Route("GET", "/blog/<int:year>/<slug>", 0.32, 36),
    Route("GET", "/feeds/blog.xml", 0.11, 41, 0.25),
    Route("GET", "/sitemap.xml", 0.004, 150, 0.2),
    Route("GET", "/newsletter", 0.03, 12),
    Route("POST", "/newsletter", 0.005, 190, 0.3),
    Route("GET", "/contact", 0.03, 11),
    Route("POST", "/contact", 0.003, 95),
    Route("GET", "/wishlist", 0.09, 35),
    Route("POST", "/wishlist/<int:product_id>", 0.03, 22),
    Route("GET", "/compare", 0.04, 57),
    Route("GET", "/admin/", 0.02, 48),
    Route("GET", "/admin/orders", 0.03, 110),
    Route("GET", "/admin/orders/<int:number>", 0.03, 62),
    Route("POST", "/admin/orders/<int:number>/ship", 0.01, 88),
    Route("GET", "/admin/stock", 0.01, 120, 0.3),
    Route("POST", "/webhooks/payment", 0.1, 15),
)


#: What a request's time goes to: of a page, of the API, of a file, and of some that differ.
PAGE = {"database": 0.45, "templates": 0.25, "computing": 0.25, "waiting": 0.05}
API = {"database": 0.6, "computing": 0.3, "waiting": 0.1}
FILE = {"computing": 0.6, "waiting": 0.4}
SHARES = {
    ("GET", "/search"): {"database": 0.8, "templates": 0.1, "computing": 0.1},
    ("POST", "/checkout"): {"http": 0.55, "database": 0.3, "computing": 0.15},
    ("POST", "/api/orders"): {"http": 0.4, "database": 0.45, "computing": 0.15},
    ("GET", "/reports/sales"): {"database": 0.85, "templates": 0.1, "computing": 0.05},
}


def shares(route: Route) -> Mapping[str, float]:
    """Shares of a route's time, by the names that `inapp_monitor.traces.breakdown` gives."""
    if known := SHARES.get(route[:2]):
        return known
    if route.template.startswith(("/static/", "/pictures/")):
        return FILE
    return API if route.template.startswith("/api/") else PAGE


class Incident(NamedTuple):
    """A time in which one route was slower or failed.

    Attributes:
        template, method: Of which route.
        begins_s, ends_s: Seconds before the end of the past.
        slower: Durations are so many times the usual ones.
        failing: Share of requests that fail.
        problem: Which exception they raise, a key of `mishaps.PROBLEMS`.
    """

    method: str
    template: str
    begins_s: float
    ends_s: float
    slower: float = 1.0
    failing: float = 0.0
    problem: str = ""


_HOUR, _DAY = 3_600.0, 86_400.0
INCIDENTS = (
    Incident("GET", "/search", 3.1 * _DAY, 2.3 * _DAY, slower=3.2),
    Incident("POST", "/checkout", 30 * _HOUR, 28.6 * _HOUR, failing=0.2, problem="warehouse"),
    Incident("GET", "/reports/sales", 9 * _HOUR, 8.5 * _HOUR, slower=2.5),
)
#: What always goes wrong once in a while: route, share of its requests, problem.
SLIPS = (
    ("POST", "/checkout", 0.003, "card"),
    ("POST", "/checkout", 0.001, "voucher"),
    ("GET", "/blog/<int:year>/<slug>", 0.0002, "text"),
    ("POST", "/api/orders", 0.002, "amount"),
    ("GET", "/admin/stock", 0.003, "table"),
)
#: The fault: what breaks `FAULT_AGE_S` before the end when it is asked for.
FAULT_AGE_S = 1_320.0
FAULT = (
    Incident("GET", "/search", FAULT_AGE_S, 0.0, slower=14.0),
    Incident("POST", "/checkout", FAULT_AGE_S, 0.0, failing=0.22, problem="provider"),
)
#: Deploys: seconds before the end, release. The fault brings one more.
DEPLOYS = (
    (27.2 * _DAY, "2.2.0"),
    (19.9 * _DAY, "2.3.0"),
    (12.1 * _DAY, "2.3.1"),
    (3.1 * _DAY, "2.4.0"),
    (2.3 * _DAY, "2.4.1"),
)
FAULT_DEPLOY = (FAULT_AGE_S + 40, "2.5.0")
#: When nothing was recorded: the shop was down.
GAPS = ((4.4 * _DAY, 4.4 * _DAY - 2_400), (11.3 * _DAY, 11.3 * _DAY - 9_000))


class Missing(NamedTuple):
    """A path that is asked for in vain: how often a second, and the pages of ours that link to it.

    `surge` is its rate while the fault lasts.
    """

    path: str
    rate: float
    referers: tuple[str, ...] = ()
    surge: float = 0.0


MISSING = (
    Missing("/static/app.9f3c1d.js", 0.0, ("/products/7", "/", "/teas/sencha"), 1.9),
    Missing("/help/delivery", 0.012, ("/cart", "/checkout")),
    Missing("/wp-login.php", 0.02),
    Missing("/.env", 0.011),
    Missing("/xmlrpc.php", 0.009),
    Missing("/apple-touch-icon.png", 0.007),
    Missing("/catalogue/2023.pdf", 0.004, ("https://tea-lovers.example/shops",)),
    Missing("/.git/config", 0.004),
    Missing("/blog/2024/matcha-at-home", 0.003, ("https://forum.example/t/1834",)),
    Missing("/phpmyadmin/index.php", 0.003),
    Missing("/products/9999", 0.002, ("/wishlist",)),
    Missing("/feeds/rss", 0.002),
)


@dataclass(frozen=True)
class Plot:
    """All that one past is about.

    Attributes:
        routes: What is asked for, day and night.
        missing: What is asked for in vain.
        problems: Raises what went wrong, by the names that `incidents` and `slips` give.
        incidents, deploys: What happened.
        fault, fault_deploy, fault_age_s: What happens besides in a past with a fault, and since
            when paths are missed more often.
        slips: What goes wrong once in a while.
        gaps: When nothing was recorded.
        shares: What the time of a route's requests goes to.
    """

    routes: tuple[Route, ...]
    missing: tuple[Missing, ...] = ()
    problems: Mapping[str, Callable[[int], None]] = field(default_factory=dict)
    incidents: tuple[Incident, ...] = ()
    slips: tuple[tuple[str, str, float, str], ...] = ()
    deploys: tuple[tuple[float, str], ...] = ()
    fault: tuple[Incident, ...] = ()
    fault_deploy: tuple[float, str] | None = None
    fault_age_s: float = 0.0
    gaps: tuple[tuple[float, float], ...] = ()
    shares: Callable[[Route], Mapping[str, float]] = shares


SHOP = Plot(
    routes=ROUTES,
    missing=MISSING,
    problems=mishaps.PROBLEMS,
    incidents=INCIDENTS,
    slips=SLIPS,
    deploys=DEPLOYS,
    fault=FAULT,
    fault_deploy=FAULT_DEPLOY,
    fault_age_s=FAULT_AGE_S,
    gaps=GAPS,
)
