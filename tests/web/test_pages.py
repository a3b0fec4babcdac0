"""Pages: each loads, has its JSON twin, holds up with nothing, with much and with odd data."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from demo_app import mishaps
from inapp_monitor import Monitor
from inapp_monitor.ground.current_request import ENVIRON_KEY
from inapp_monitor.ground.facts import Facts
from inapp_monitor.ground.histogram import Histogram
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar
from inapp_monitor.testing import FakeClock
from inapp_monitor.web.app import WebApp
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame.routing import Route
from tests.environ import environ_of
from tests.web import sample_past
from tests.web.stored_backend import NOW, TOKEN, close, stored_backend

PAGES = ["/", "/routes", "/routes/checkout", "/errors", "/errors/{issue}", "/not-found"]
PAGES += [
    "/status",
    "/search?q=check",
    "/runtime",
    "/dashboards",
    "/explore",
    "/explore?target=requests.time.p95&path=routes",
]
HTML = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/html"}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def twin(page: str) -> str:
    """The JSON address of a page."""
    path, _, query = page.partition("?")
    return f"{'/overview' if path == '/' else path}.json" + (f"?{query}" if query else "")


class Tags(HTMLParser):
    """Collects elements with their attributes, and complains about what is not balanced."""

    void = {"meta", "link", "input", "br"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[str] = []
        self.feed(text)
        assert not self.stack, self.stack

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.void:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_and_obeys_its_own_policy(page: str, client: Client, issue: str) -> None:
    """Balanced HTML; no inline script, style or handler; every address is of this host."""
    answer = client.get(page.format(issue=issue), headers=HTML)
    assert answer.status_code == 200
    for name, attributes in Tags(answer.text).found:
        assert name != "style"
        assert name != "script" or attributes["src"]
        for key, value in attributes.items():
            assert key != "style"
            assert not key.startswith("on")
            if key in ("href", "src", "action"):
                assert value is not None
                assert value.startswith(("/", "#")), value
    assert len(answer.data) < 200_000


@pytest.mark.parametrize("page", PAGES)
def test_every_page_has_a_json_twin(page: str, client: Client, issue: str, authorized: Any) -> None:
    """Under `.json`, and at the page itself for a client that prefers JSON."""
    page = page.format(issue=issue)
    answer = client.get(twin(page), headers=authorized)
    assert answer.mimetype == "application/json"
    assert isinstance(answer.json, dict)
    assert "NaN" not in answer.text
    same = client.get(page, headers={**authorized, "Accept": "application/json"})
    assert same.json.keys() == answer.json.keys()


@pytest.mark.parametrize("page", [*PAGES, "/nowhere", "/?from=x", "/static/monitor.css?x"])
def test_every_answer_carries_the_security_headers(page: str, client: Client, issue: str) -> None:
    """Errors and assets as well; only an asset's cache differs."""
    answer = client.get(page.format(issue=issue), headers=HTML)
    for name, value in HEADERS.items():
        if not (page.startswith("/static") and name == "Cache-Control"):
            assert answer.headers[name] == value
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("page", [p for p in PAGES if "/checkout" not in p and "{issue}" not in p])
def test_an_empty_installation_invites(page: str, tmp_path: Path) -> None:
    """Nothing is recorded yet: every page loads and says what will appear."""
    client = Client(WebApp(stored_backend(tmp_path)))
    answer = client.get(page, headers=HTML)
    assert answer.status_code == 200
    Tags(answer.text)
    if page == "/":
        assert "Waiting for the first request" in answer.text
    assert client.get(twin(page), headers=HTML).status_code == 200


def test_five_hundred_routes_with_long_names_hold_up(tmp_path: Path) -> None:
    """The overview shows the top ones and stays small; the routes page shows them all."""
    backend = stored_backend(tmp_path, distribution_retention="10s:1h")
    sample_past.record_routes(backend, ["/" + "x" * 180 + f"/<int:id>/{n}" for n in range(500)])
    client = Client(WebApp(backend))
    answer = client.get("/?from=-15min", headers=HTML)
    assert len(answer.data) < 200_000
    assert "all 500 routes" in answer.text
    assert client.get("/routes?from=-15min", headers=HTML).status_code == 200
    assert len(client.get("/routes.json?from=-15min", headers=HTML).json["rows"]) == 500
    close(backend)


@pytest.mark.parametrize(
    "query",
    [
        "from=-15min",
        "from=-6h",
        "from=-1d",
        "from=yesterday",
        f"from={NOW - 7200}&until={NOW - 3600}",
        "compare=day",
    ],
)
def test_the_window_is_in_the_address(query: str, client: Client) -> None:
    """And every link of the page keeps it."""
    answer = client.get(f"/?{query}", headers=HTML)
    assert answer.status_code == 200
    links = [a["href"] for tag, a in Tags(answer.text).found if tag == "a" and a.get("href")]
    route = next(link for link in links if "/routes/" in (link or ""))
    for part in query.split("&"):
        assert part in (route or "")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("from=yesterdoy", "yesterdoy"),
        ("from=-1h&until=-2h", "-1h"),
        ("from=-9y", "-9y"),
        ("compare=moon", "moon"),
        ("from=99999999999999999", "99999999999999999"),
        ("until=<script>", "<script>"),
    ],
)
def test_a_bad_window_is_400_and_names_what_is_wrong(
    query: str, named: str, client: Client, authorized: Any
) -> None:
    """One line for programs, a page with links for people; nothing echoed live."""
    line = client.get(f"/?{query}", headers=authorized)
    assert line.status_code == 400
    assert line.mimetype == "text/plain"
    assert named in line.text
    assert len(line.text.strip().splitlines()) == 1
    page = client.get(f"/?{query}", headers=HTML)
    assert page.status_code == 400
    assert "<script>" not in page.text
    as_json = client.get(f"/overview.json?{query}", headers=authorized)
    assert named in as_json.json["error"]


def test_the_overview_says_what_is_wrong(backend: Backend, client: Client, authorized: Any) -> None:
    """The slow route with its deploy, the failing one, the new issue, the 404s: worst first."""
    begin = NOW - int(sample_past.FAULT_AGE_S) - 60
    (failed,) = backend.store.fetch(["routes.checkout.POST.errors"], begin, NOW, NOW)
    times = int(sum(value for value in failed.values if value == value))
    assert times > 50
    verdicts = client.get("/overview.json", headers=authorized).json["verdicts"]
    texts = [f"{v['state']} {v['title']} {v['detail']}" for v in verdicts]
    slow = next(text for text in texts if "is slow" in text)
    assert "/checkout" in slow
    assert "since deploy 2.4.1" in slow
    failing = next(text for text in texts if "fails" in text)
    assert failing.startswith("crit Errors: /checkout fails")
    new = next(text for text in texts if f"1 new issue, {times} times" in text)
    # It explains the failing route: never before a route's trouble, whatever that one's state.
    assert new.startswith("warn")
    assert max(texts.index(slow), texts.index(failing)) < texts.index(new)
    assert any(text.startswith("warn 404s") for text in texts)
    order = ["crit", "warn", "unknown", "ok"]
    states = [order.index(v["state"]) for v in verdicts]
    assert states == sorted(states)


def test_a_broken_link_of_the_app_itself_is_recognised(client: Client) -> None:
    """The referer is this very host."""
    rows = client.get("/not-found.json", headers=HTML).json["not_found"]
    assert [row["path"] for row in rows[:2]] == ["/static/app.9f3c.js", "/wp-login.php"]
    assert rows[0]["guess"] == "broken link of your own"
    assert rows[1]["guess"] == "scanner"


def test_counts_of_the_overview_agree_with_the_store(backend: Backend, client: Client) -> None:
    """The total is the sum of the distribution's slots in the window."""
    found = backend.store.fetch_distribution("requests.time", NOW - 3600, NOW, NOW)
    assert found is not None
    expected = sum(slot.count for slot in found.slots if slot is not None)
    totals = client.get("/overview.json", headers=HTML).json["totals"]
    assert totals["requests"] == expected


@pytest.mark.parametrize("sort", ["share", "route", "per_min", "p95", "error_rate", "apdex"])
def test_routes_can_be_sorted(sort: str, client: Client, authorized: Any) -> None:
    """By any column, by address."""
    rows = client.get(f"/routes.json?sort={sort}", headers=authorized).json["rows"]
    values = [row[sort] for row in rows]
    assert values == sorted(values, reverse=sort not in ("route", "apdex"))


def test_a_compared_period_shows_as_a_ghost(client: Client, authorized: Any) -> None:
    """Shifted to lie under the present one."""
    data = client.get("/overview.json?compare=week", headers=authorized).json
    ghost = data["charts"]["throughput"]["series"][-1]
    assert ghost["name"] == "last week"
    assert ghost["shape"] == "ghost"
    assert NOW - 3700 <= ghost["start"] <= NOW - 3000


def test_nothing_to_compare_with_is_said(backend: Backend, client: Client, authorized: Any) -> None:
    """The period before the first request has no data, which is not the same as no change."""
    far = client.get(
        f"/overview.json?from={NOW - 40 * 86_400}&until={NOW - 39 * 86_400}&compare=week",
        headers=authorized,
    ).json
    assert far["charts"]["throughput"]["change"][0] == "no data last week"


def test_axes_begin_with_the_first_sample_of_a_young_installation(tmp_path: Path) -> None:
    """At least two minutes wide; a coarse slot that reaches into the window is not its past."""
    backend = stored_backend(tmp_path)
    some = Histogram()
    some.add([12.0])
    sums = ("requests.status.2xx", "requests.breakdown.database", "process.cpu.user_ms")
    counted = [Scalar(path, NOW - 20, 1.0, Method.SUM) for path in sums]
    backend.store.add(Batch(counted, [Distribution("requests.time", NOW - 20, some)]))
    headers = {**HTML, "Authorization": f"Bearer {TOKEN}"}
    get = Client(WebApp(backend)).get
    data = get("/overview.json?from=-15min", headers=headers).json
    charts = [data["charts"]["throughput"], data["charts"]["breakdown"]]
    charts += get("/runtime.json?from=-15min", headers=headers).json["sections"][0]["charts"]
    assert [chart["start"] for chart in charts] == [NOW - 120] * 3


@pytest.mark.parametrize(("since_s", "period"), [(300, "30d"), (300, "1h"), (7_200, "1d")])
def test_the_time_by_part_is_shown_from_when_it_was_measured(
    tmp_path: Path, since_s: int, period: str
) -> None:
    """Means of the requests that it is known of, however many came before: 12 ms a request."""
    backend = stored_backend(tmp_path)
    some = Histogram()
    some.add([12.0] * 10)
    ages = [*range(25 * 86_400, 86_400, -3_600), *range(86_400, 600, -60), *range(600, 0, -10)]
    batch = Batch([], [Distribution("requests.time", NOW - age, some) for age in ages])
    for age in ages:
        sums = {"requests.status.2xx": 10.0}
        if age <= since_s:
            sums |= {"requests.breakdown.database": 90.0, "requests.breakdown.computing": 30.0}
        batch.scalars.extend(Scalar(path, NOW - age, ms, Method.SUM) for path, ms in sums.items())
    backend.store.add(batch)
    headers = {**HTML, "Authorization": f"Bearer {TOKEN}"}
    found = Client(WebApp(backend)).get(f"/overview.json?from=-{period}", headers=headers).json
    chart = found["charts"]["breakdown"]
    by_part = {
        line["name"]: [value for value in line["values"] if value is not None]
        for line in chart["series"]
    }
    assert len(by_part["database"]) > 3
    assert by_part["database"] == pytest.approx([9.0] * len(by_part["database"]))
    assert by_part["computing"] == pytest.approx([3.0] * len(by_part["computing"]))


@pytest.mark.parametrize("age_s, collecting", [(0, True), (40, False)])
def test_the_first_seconds_are_being_collected(
    tmp_path: Path, age_s: int, collecting: bool
) -> None:
    """Requests without a rate as yet are not called a period without data."""
    backend = dataclasses.replace(stored_backend(tmp_path, FakeClock(NOW + 2)), live=True)
    some = Histogram()
    some.add([12.0])
    answered = Scalar("requests.status.2xx", NOW + 1 - age_s, 1.0, Method.SUM)
    backend.store.add(Batch([answered], [Distribution("requests.time", NOW + 1 - age_s, some)]))
    headers = {**HTML, "Authorization": f"Bearer {TOKEN}"}
    page = Client(WebApp(backend)).get("/?from=-15min", headers=headers).text
    assert ("The latest seconds are still being collected" in page) == collecting


def test_first_steps_tick_themselves(tmp_path: Path) -> None:
    """First request, error and number of one's own; and who may see the page."""
    backend = stored_backend(tmp_path)
    client = Client(WebApp(backend))
    headers = {**HTML, "Authorization": f"Bearer {TOKEN}"}

    def done() -> list[bool]:
        return [
            step["done"]
            for step in client.get("/overview.json", headers=headers).json["first_steps"]
        ]

    assert done() == [False, False, False, True]
    scalars = [Scalar("users.registered", NOW - 20, 3.0, Method.SUM)]
    backend.store.add(Batch(scalars, []))
    assert done() == [False, False, True, True]
    page = client.get("/", headers=headers).text
    assert "First steps" in page
    assert "Your numbers" in page
    assert "3 in all" in page


def test_an_issue_shows_its_stack_and_cause(backend: Backend, client: Client, issue: str) -> None:
    """Latest occurrence: frames, source, locals, request."""
    error = mishaps.answer(sample_past.pay, 8)
    asked = environ_of("/checkout", "POST", QUERY_STRING="step=2")
    assert sample_past.record_error(backend, error, asked, "/checkout") == issue
    text = client.get(f"/errors/{issue}", headers=HTML).text
    raised = error.__traceback__ and error.__traceback__.tb_next
    assert raised is not None
    place = f"tests/web/sample_past.py:{raised.tb_lineno}"
    for part in ("caused by", "charge(cart)", place, "step=2", "[scrubbed]"):
        assert part in text
    assert "hunter-2" not in text


ATTACK = '"><script>alert(1)</script><svg/onload=alert(2)>\x00\ud800'


def hostile_app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """A route, an exception's type, message, function and locals, a missing path: all hostile."""

    def fail() -> None:
        innocent = {ATTACK: "</script>" + ATTACK}  # noqa: F841  # shown as a local
        raise type(ATTACK.rstrip("\x00\ud800"), (Exception,), {})(ATTACK)

    if environ["PATH_INFO"] == "/":
        environ[ENVIRON_KEY].route = ATTACK
        fail.__code__ = fail.__code__.replace(co_name=ATTACK.rstrip("\x00\ud800"))
        fail()
    start_response("404 Not Found", [])
    return []


def test_hostile_data_never_becomes_live(tmp_path: Path) -> None:
    """Paths, referers, messages and names are text on every page and in every twin."""
    monitor = Monitor(hostile_app, data_dir=tmp_path, token=TOKEN, release=ATTACK)
    with pytest.raises(Exception, match="alert"):
        monitor(environ_of("/"), lambda *_: None)
    for referer in ("javascript:alert(1)", ATTACK):
        monitor(environ_of(ATTACK, HTTP_REFERER=referer), lambda *_: None)
    client = Client(monitor)
    (issue,) = client.get("/_metrics/errors.json", headers=HTML).json["issues"]
    rows = client.get("/_metrics/routes.json", headers=HTML).json["rows"]
    (slug,) = [row["slug"] for row in rows if "alert" in row["route"]]
    (missing,) = client.get("/_metrics/not-found.json", headers=HTML).json["not_found"]
    assert "alert" in missing["path"]
    assert len(missing["referers"]) == 2
    shown = ("/", "/routes", f"/routes/{slug}", "/errors", f"/errors/{issue['id']}", "/not-found")
    for page in (*shown, "/status"):
        for path in (page, twin(page)):
            answer = client.get(f"/_metrics{path}", headers=HTML)
            assert answer.status_code == 200, path
            assert "alert(1)" in answer.text, path
            if answer.mimetype == "text/html":
                assert "<script>alert" not in answer.text
                assert "<svg/onload" not in answer.text
                assert 'href="javascript' not in answer.text
            else:
                json.loads(answer.text)
    monitor.close()


def test_our_own_failure_stays_here(backend: Backend) -> None:
    """A page that raises answers 500, is noted, and after too many times is switched off."""

    def broken(*_: object) -> Any:
        raise RuntimeError("secret detail")

    client = Client(WebApp(backend, further=[Route("/status", broken)]))
    first = client.get("/status", headers=HTML)
    assert first.status_code == 500
    assert "secret detail" not in first.text
    assert "page /status" in backend.guard.faults
    assert client.get("/", headers=HTML).status_code == 200
    for _ in range(30):
        last = client.get("/status", headers=HTML)
    assert last.status_code == 503


def test_even_a_backend_that_cannot_answer_is_survived(backend: Backend, issue: str) -> None:
    """Everything raises: 500 with headers, never an exception for the server."""

    def fail(*_: object, **__: object) -> Any:
        raise OSError("disk gone")

    store: Any = backend.store
    store.leaves = store.fetch = store.status = fail
    backend.refresh = fail
    client = Client(WebApp(backend))
    for page in PAGES:
        answer = client.get(page.format(issue=issue), headers=HTML)
        assert answer.status_code == 500
        assert answer.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/", 200),
        ("OPTIONS", "/", 204),
        ("POST", "/", 405),
        ("PUT", "/routes", 405),
        ("DELETE", "/errors/{issue}", 405),
        ("TRACE", "/", 405),
        ("HEAD", "/nowhere", 404),
        ("GET", "", 303),
        ("GET", "/routes/nope", 404),
        ("GET", "/errors/nope", 404),
        ("GET", "/routes/checkout?method=PUT", 400),
        ("GET", "/?" + "a=1&" * 300, 400),
        ("GET", "/?q=" + "x" * 20_000, 400),
        ("GET", "/" + "x" * 5_000, 414),
    ],
)
def test_methods_and_limits(
    method: str, path: str, status: int, client: Client, issue: str
) -> None:
    """What is not for reading is refused, what is too much is not read."""
    answer = client.open(path.replace("{issue}", issue), method=method, headers=HTML)
    assert answer.status_code == status
    if method == "HEAD":
        assert answer.data == b""
    if status == 405:
        assert "GET" in answer.headers["Allow"]


def test_an_action_needs_the_header_token_or_our_own_form(backend: Backend) -> None:
    """A cookie alone changes nothing: same origin and the CSRF token belong to it."""
    from werkzeug.wrappers import Response

    done: list[str] = []

    def act(*_: object) -> Response:
        done.append("x")
        return Response("done")

    action = Route("/act", act, methods=("POST",), changes_state=True)
    app = WebApp(backend, further=[action])
    client = Client(app)
    client.get(f"/?token={TOKEN}")
    assert client.post("/act").status_code == 403
    assert client.post("/act", headers={"X-CSRF-Token": "x"}).status_code == 403
    access = app.gate.check({"HTTP_COOKIE": _cookie(client, app)})
    token = app.gate.csrf_token(access)
    evil = {"X-CSRF-Token": token, "Origin": "http://evil.example"}
    assert client.post("/act", headers=evil).status_code == 403
    cross = {"X-CSRF-Token": token, "Sec-Fetch-Site": "cross-site"}
    assert client.post("/act", headers=cross).status_code == 403
    assert not done
    assert client.post("/act", headers={"X-CSRF-Token": token}).status_code == 200
    assert client.post("/act", data={"csrf": token}).status_code == 200
    assert client.post("/act", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def _cookie(client: Client, app: WebApp) -> str:
    cookie = client.get_cookie(app.gate.cookie_name)
    assert cookie is not None
    return f"{cookie.key}={cookie.value}"


def test_assets_come_from_memory_and_are_kept_by_the_browser(client: Client) -> None:
    """Open to everybody, versioned, immutable; no other file can be had."""
    page = client.get("/", headers=HTML).text
    for address in re.findall(r'(?:href|src)="(/static/[^"]+)"', page):
        answer = client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
        again = client.get(address, headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304
    for path in ("/static/", "/static/__init__.py", "/static/../app.py", "/static/%2e%2e/app.py"):
        assert client.get(path).status_code == 401
        assert client.get(path, headers=HTML).status_code == 404


def test_links_stay_below_the_mount(backend: Backend) -> None:
    """Under any SCRIPT_NAME."""
    client = Client(WebApp(backend))
    page = client.get("/", headers=HTML, base_url="http://localhost/a/_metrics")
    for tag, attributes in Tags(page.text).found:
        for key in ("href", "src", "action"):
            value = attributes.get(key)
            if value and not value.startswith("#"):
                assert value.startswith("/a/_metrics/"), (tag, value)


def test_the_status_page_tells_of_a_directory_that_others_can_read(
    client: Client, backend: Backend, authorized: dict[str, str]
) -> None:
    """Once, with the remedy; a private one is not mentioned."""
    directory = backend.loaded.settings.data_dir
    directory.mkdir(exist_ok=True)
    for mode, times in ((0o700, 0), (0o755, 1)):
        directory.chmod(mode)
        assert client.get("/status", headers=authorized).text.count("chmod 700") == times


def test_a_page_keeps_its_state_when_its_period_changes(
    client: Client, authorized: dict[str, str]
) -> None:
    """Targets, sorting and filters stay in the links and forms of the top bar."""
    headers = {**authorized, "Accept": "text/html"}
    page = client.get("/explore?target=a.b&target=c%26d&shape=bar&from=-6h", headers=headers).text
    links = re.findall(r'href="(/explore\?from=-7d[^"]*)"', page)
    assert set(links) == {"/explore?from=-7d&amp;target=a.b&amp;target=c%26d&amp;shape=bar"}
    for form in re.findall(r"<form[^>]*>.*?</form>", page.partition("<main")[0], re.DOTALL):
        if "/search" not in form:
            assert '<input type="hidden" name="target" value="c&amp;d">' in form
    page = client.get("/routes?sort=p99&token2=x", headers=headers).text
    assert "/routes?from=-7d&amp;sort=p99" in page


def test_logging_in_leads_back_to_the_whole_address(tmp_path: Path) -> None:
    """With its period: the link that somebody sent."""
    visitor = Client(WebApp(stored_backend(tmp_path / "data", dev_access=False)))
    wanted = "/routes?from=-6h&sort=p99"
    answer = visitor.post("/login", query_string={"next": wanted}, data={"token": TOKEN})
    assert answer.headers["Location"] == wanted
    for hostile in ("//evil.example/x", "/\\evil", "https://evil.example"):
        answer = visitor.post("/login", query_string={"next": hostile}, data={"token": TOKEN})
        assert answer.headers["Location"] == "/"


PAGES_WITH_FACTS = ["/", "/routes", "/routes/checkout", "/runtime", "/status", "/not-found"]


@pytest.mark.parametrize("page", PAGES_WITH_FACTS)
def test_a_visit_gathers_what_the_monitor_knows_once(
    page: str, backend: Backend, authorized: Any
) -> None:
    """However many findings of a page ask for it: to tell it reads files and walks over memory."""
    tell, asked = backend.facts, []

    def counted() -> Facts:
        asked.append(page)
        return tell()

    backend.facts = counted
    client = Client(WebApp(backend))
    for visits in (1, 2):
        assert client.get(page, headers=authorized).status_code == 200
        assert len(asked) == visits


def test_facts_that_cannot_be_gathered_cost_no_page(backend: Backend, authorized: Any) -> None:
    """They are missing, and the failure is a fault."""

    def broken() -> Facts:
        raise ValueError("no facts")

    backend.facts = broken
    answer = Client(WebApp(backend)).get("/status", headers=authorized)
    assert answer.status_code == 200
    assert "no facts" in backend.guard.faults["facts"].last
