"""Visitors for the demo shop: bounded, mixed HTTP traffic from a process of its own.

`python -m demo_app.traffic --url http://127.0.0.1:8000 --seconds 20`

Visitors open pages, follow what the pages link to (stale links included), fill carts and check
out; crawlers ask for what is not there; now and then a burst comes, and a stretch in which
everybody reads the slow report. It talks to this machine alone, ends by itself, and counts an
answer only when the whole of it has arrived. Standard library only; it may not import the shop.
"""

from __future__ import annotations

import argparse
import http.client
import random
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

_LOCAL_HOSTS = ("127.0.0.1", "localhost")
_ANSWER_TIMEOUT_S = 30.0
_LONGEST_S = 4 * 3600.0
_MOST_FAILURES = 20
_REDIRECTS = (301, 302, 303, 307, 308)

_BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_6) AppleWebKit/605.1.15 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
)
_CRAWLER = "Mozilla/5.0 (compatible; GreedyBot/2.1)"
_NONSENSE = (
    "/wp-login.php", "/.env", "/xmlrpc.php", "/wp-admin/setup-config.php", "/.git/config",
    "/phpmyadmin/index.php", "/admin.php", "/backup.sql", "/vendor/phpunit/phpunit/phpunit.xml",
    "/robots.txt", "/products/9999", "/search?q=tea&page=last", "/categories/coffee",
)  # fmt: skip
_WORDS = ("japan", "honey", "oolong", "pot", "smoke", "Taiwan", "mint", "coffee", "bergamot")
_CARDS = ("4242 4242 4242 4242",) * 9 + ("4000 0000 0000 0002",)
_VOUCHERS = ("", "", "TEATIME", "TEATIME", "WELCOME5")
_COUNTRIES = ("DE", "AT", "CH", "FR")
_GIFT_SETS = (30, 31, 32)
_PRODUCTS = range(1, 33)


class Answer(NamedTuple):
    """One answer, read to its end. `location` is empty unless it redirects."""

    status: int
    location: str
    body: bytes


class Tally:
    """How many answers came, by status class; shared by all visitors."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._classes: Counter[int] = Counter()
        self._failures_in_a_row = 0
        self.lost = 0

    def answered(self, status: int) -> None:
        with self._lock:
            self._classes[status // 100] += 1
            self._failures_in_a_row = 0

    def failed(self) -> bool:
        """A request without an answer; true when the server seems to be gone."""
        with self._lock:
            self.lost += 1
            self._failures_in_a_row += 1
            return self._failures_in_a_row >= _MOST_FAILURES

    @property
    def total(self) -> int:
        return self._classes.total()

    def line(self) -> str:
        """`traffic: 1234 answers (2xx 1100, 3xx 20, 4xx 90, 5xx 24)`, plus what was lost."""
        classes = ", ".join(f"{number}xx {self._classes[number]}" for number in (2, 3, 4, 5))
        lost = f", {self.lost} requests without an answer" if self.lost else ""
        return f"traffic: {self.total} answers ({classes}){lost}"


class Pace:
    """When the next request may go out, and when there are none left; shared by all visitors.

    The rate rises and falls around `rate` (requests a second) with a burst every 25 seconds.
    """

    def __init__(self, rate: float, seconds: float, most: int | None) -> None:
        self._rate = rate
        self._started = time.monotonic()
        self._end = self._started + seconds
        self._left = None if most is None else max(most, 0)
        self._next = self._started
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def stop(self) -> None:
        self._stop.set()

    @property
    def over(self) -> bool:
        """Whether there will be no more turns."""
        return self._ended() or self._left == 0

    @property
    def everybody_reads_reports(self) -> bool:
        """The slow stretch: the last 6 of every 40 seconds."""
        return (time.monotonic() - self._started) % 40 >= 34

    def wait_for_turn(self) -> bool:
        """Wait until a request may be sent; false when the traffic is over."""
        with self._lock:
            if self._left is not None:
                if self._left == 0:
                    return False
                self._left -= 1
            turn = max(self._next, time.monotonic() - 0.5)  # what a slow answer held up is let go
            self._next = turn + 1 / (self._rate * self._swell(turn - self._started))
        if self._stop.wait(max(0.0, turn - time.monotonic())):
            return False
        return not self._ended()

    def _ended(self) -> bool:
        return self._stop.is_set() or time.monotonic() >= self._end

    @staticmethod
    def _swell(elapsed: float) -> float:
        if elapsed % 25 < 3:
            return 2.0  # a burst
        return 0.8 if elapsed % 60 < 40 else 1.2


class Visitor:
    """One visitor at a time on one kept-alive connection: cookies, referer, a picture cache."""

    def __init__(self, host: str, port: int, pace: Pace, tally: Tally, chance: random.Random):
        self._connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_TIMEOUT_S)
        self._pace = pace
        self._tally = tally
        self.chance = chance
        self.arrive(_CRAWLER)

    def arrive(self, agent: str) -> None:
        """Become somebody new: no cookies, nowhere yet."""
        self._agent = agent
        self._cookies: dict[str, str] = {}
        self._page = ""
        self._seen: set[str] = set()

    def leave(self) -> None:
        self._connection.close()

    def get(self, path: str) -> Answer | None:
        """One GET, redirects followed (each is an answer of its own); None when it is over."""
        return self._redirected("GET", path, None)

    def post(self, path: str, **form: object) -> Answer | None:
        """One POST of a form, redirects followed."""
        return self._redirected("POST", path, form)

    def open(self, path: str) -> Links:
        """A page with up to four of the things it shows; returns its links."""
        links = Links()
        answer = self.get(path)
        if answer is not None and b"<html" in answer.body:
            links.feed(answer.body.decode("utf-8", "replace"))
            fresh = [shown for shown in links.shown if shown not in self._seen]
            self.chance.shuffle(fresh)
            for shown in fresh[:4]:
                self._seen.add(shown)
                self._send("GET", shown, None)
        return links

    def follow(self, links: Links, start: str) -> Links:
        """Open one of a page's links that start like this; stay there when it has none."""
        fitting = links.below(start)
        return self.open(self.chance.choice(fitting)) if fitting else links

    def _redirected(self, method: str, path: str, form: dict[str, object] | None) -> Answer | None:
        answer = self._send(method, path, form)
        for _ in range(5):
            if answer is None or answer.status not in _REDIRECTS:
                break
            path = urlsplit(urljoin(path, answer.location)).path
            answer = self._send("GET", path, None)
        if answer is not None:
            self._page = path
        return answer

    def _send(self, method: str, path: str, form: dict[str, object] | None) -> Answer | None:
        if not self._pace.wait_for_turn():
            return None
        headers = {"User-Agent": self._agent, "Accept": "*/*"}
        if self._page and self._agent != _CRAWLER:  # a robot follows no links
            host, port = self._connection.host, self._connection.port
            headers["Referer"] = f"http://{host}:{port}{self._page}"
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={text}" for name, text in self._cookies.items())
        body = None
        if form is not None:
            body = urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            read = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()  # the next request opens a new one
            if self._tally.failed():
                self._pace.stop()
            return None
        self._tally.answered(response.status)
        for cookie in response.headers.get_all("Set-Cookie", []):
            name, _, text = cookie.partition(";")[0].partition("=")
            self._cookies[name] = text
        return Answer(response.status, response.headers.get("Location", ""), read)


class Links(HTMLParser):
    """What a page links to (`found`) and shows (`shown`), own paths only."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.shown: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, text in attrs:
            if not text or not text.startswith("/") or text.startswith("/_metrics"):
                continue
            if tag == "a" and name == "href":
                self.found.append(text)
            elif (tag == "img" and name == "src") or (tag == "link" and name == "href"):
                self.shown.append(text)

    def below(self, start: str) -> list[str]:
        """The links that start like this."""
        return [link for link in self.found if link.startswith(start)]


def browse(visitor: Visitor) -> None:
    """From the front page into a category, to some products, sometimes to the stale link."""
    links = visitor.open("/")
    links = visitor.follow(links, "/categories/")
    for _ in range(visitor.chance.randint(1, 4)):
        links = visitor.follow(links, "/products/")
    if visitor.chance.random() < 0.15:
        visitor.follow(links, "/help/")


def search(visitor: Visitor) -> None:
    """Search, look at a hit, turn the page."""
    words = visitor.chance.choice(_WORDS)
    links = visitor.open(f"/search?{urlencode({'q': words})}")
    visitor.follow(links, "/products/")
    if visitor.chance.random() < 0.4:
        visitor.open(f"/search?{urlencode({'q': words, 'page': 2})}")


def buy(visitor: Visitor) -> None:
    """Fill a cart and check out; some use a voucher, some cards are declined."""
    products = visitor.chance.sample(_PRODUCTS, visitor.chance.randint(1, 3))
    _check_out(visitor, products, visitor.chance.choice(_VOUCHERS))


def give(visitor: Visitor) -> None:
    """Buy a gift set with the season's voucher: the cart that the shop cannot price."""
    _check_out(visitor, [visitor.chance.choice(_GIFT_SETS)], "TEATIME")


def _check_out(visitor: Visitor, products: Sequence[int], voucher: str) -> None:
    for product in products:
        visitor.open(f"/products/{product}")
        visitor.post("/cart/add", product=product, quantity=visitor.chance.choice((1, 1, 1, 2)))
    visitor.open("/checkout")
    visitor.post(
        "/checkout",
        name="A. Visitor",
        country=visitor.chance.choice(_COUNTRIES),
        card=visitor.chance.choice(_CARDS),
        voucher=voucher,
    )


def join(visitor: Visitor) -> None:
    """Open the account page, be sent to the form, register."""
    visitor.open("/account/")
    visitor.post(
        "/account/register", email=f"visitor{visitor.chance.getrandbits(40):x}@example.org"
    )


def crawl(visitor: Visitor) -> None:
    """A robot that tries the doors of every other shop."""
    visitor.arrive(_CRAWLER)
    for path in visitor.chance.sample(_NONSENSE, visitor.chance.randint(2, 5)):
        visitor.get(path)


def report(visitor: Visitor) -> None:
    """The shopkeeper looks at the sales and sometimes takes them home."""
    visitor.open("/reports/sales")
    if visitor.chance.random() < 0.5:
        visitor.get("/reports/sales.csv")


_JOURNEYS: tuple[tuple[Callable[[Visitor], None], int], ...] = (
    (browse, 40), (search, 23), (buy, 20), (give, 3), (crawl, 7), (report, 2), (join, 5),
)  # fmt: skip


def visit(visitor: Visitor, pace: Pace, number: int, visitors: int) -> None:
    """One journey after another until the traffic is over.

    The first journeys are one of each kind in turn, so that a short run shows everything.
    """
    kinds, weights = zip(*_JOURNEYS, strict=True)
    first = list(kinds[number::visitors])
    while not pace.over:
        visitor.arrive(visitor.chance.choice(_BROWSERS))
        if first:
            journey = first.pop(0)
        elif pace.everybody_reads_reports and visitor.chance.random() < 0.6:
            journey = report
        else:
            journey = visitor.chance.choices(kinds, weights)[0]
        journey(visitor)
    visitor.leave()


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line; a URL that is not on this machine ends the program with 2."""
    parser = argparse.ArgumentParser(prog="python -m demo_app.traffic", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--seconds", type=float, default=_LONGEST_S, help="at most 4 hours")
    parser.add_argument("--rate", type=float, default=40.0, help="requests a second, at most 200")
    parser.add_argument("--max-requests", type=int, default=None)
    parser.add_argument("--visitors", type=int, default=4, help="at a time, at most 16")
    parser.add_argument("--seed", type=int, default=None, help="the same visitors again")
    arguments = parser.parse_args(argv)
    url = urlsplit(arguments.url)
    if url.scheme != "http" or url.hostname not in _LOCAL_HOSTS:
        parser.error("--url must be http://127.0.0.1:PORT: traffic is for this machine alone")
    arguments.host, arguments.port = "127.0.0.1", url.port or 80
    arguments.seconds = min(max(arguments.seconds, 0.0), _LONGEST_S)
    arguments.rate = min(max(arguments.rate, 0.1), 200.0)
    arguments.visitors = min(max(arguments.visitors, 1), 16)
    return arguments


def wait_for_server(host: str, port: int, patience_s: float = 10.0) -> bool:
    """True once something listens there; asks with a connection, not with a request."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return True
    return False


def main(argv: Sequence[str] | None = None) -> int:
    """Send the traffic, print the tally's line; 0, or 1 when there was no server."""
    arguments = parse_arguments(argv)
    if not wait_for_server(arguments.host, arguments.port):
        print(f"traffic: nothing listens at {arguments.host}:{arguments.port}", file=sys.stderr)
        return 1
    pace = Pace(arguments.rate, arguments.seconds, arguments.max_requests)
    tally = Tally()
    for ending in (signal.SIGINT, signal.SIGTERM):
        # In a thread, because a second signal may strike while the first one holds the lock.
        signal.signal(ending, lambda *_: threading.Thread(target=pace.stop).start())
    # Whoever starts this process may hold SIGTERM back until it can be answered with a count.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    chance = random.Random(arguments.seed)
    threads = []
    for number in range(arguments.visitors):
        own = random.Random(chance.getrandbits(64))
        visitor = Visitor(arguments.host, arguments.port, pace, tally, own)
        threads.append(
            threading.Thread(target=visit, args=(visitor, pace, number, arguments.visitors))
        )
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.write(f"{tally.line()}\n")  # in one piece: the server may write beside it
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
