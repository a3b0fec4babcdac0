"""Secrets by position, by shape and apart from their names; and what only looks like one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from inapp_monitor.issues.bound_values import hide_in_variables
from inapp_monitor.issues.safe_text import HIDDEN
from inapp_monitor.issues.scrub import Scrubber
from tests.each import each

from .conftest import Monitor, caught, environ

scrubber = Scrubber()
SECRET = "Hunter2Zebra9"
TOKEN = f"{SECRET}xxxxxxxxxxxxxxxxxxxxxx"


def form(name: str, end: str = "\r\n", head: str = "") -> str:
    lines = ["--XyZ", 'Content-Disposition: form-data; name="user"', "", "ada", "--XyZ"]
    lines += [f'Content-Disposition: form-data; name="{name}"{head}', "", SECRET, "--XyZ--", ""]
    return end.join(lines)


FORMS = {
    "text": form("password"),
    "lines that end as in Unix": form("api_key", "\n"),
    "bytes": str(form("password").encode()),
    "printed": repr(form("password", "\n")),
    "JSON": json.dumps({"body": form("csrf_token")}),
    "file": form("private_key", head='; filename="notes.txt"\r\nContent-Type: text/plain'),
    "file that is a key by its name": form("upload", head='; filename="id_rsa"'),
    "cut off": form("password").partition("\r\n--XyZ--")[0],
}
URLS = {
    "at": f"postgres://shop:p@{SECRET}@db.example.com/shop",
    "slash": f"amqp://shop:p/{SECRET}@mq.example.com/",
    "hash": f"redis://:p#{SECRET}@cache.example.com:6379/0",
    "colon": f"redis://:p:{SECRET}@cache.example.com:6379/0",
    "question mark": f"mysql://shop:what?{SECRET}@db/shop",
    "all of them": f"could not reach 'amqp://shop:a@b/c#d:{SECRET}@mq:5672//'",
    "two addresses": f"postgres://a:{SECRET}@one/x,postgres://b:{SECRET}@two/y",
    "port-like beginning": f"postgres://shop:1234{SECRET}@db/x",
}
PATHS = {
    "Telegram": f"https://api.telegram.org/bot123456789:AAH{TOKEN}/getMe",
    "Telegram, percent-encoded": f"/bot123456789%3AAAH{TOKEN}/sendMessage",
    "Telegram, without address": f"url: /bot123456789:AAH{TOKEN}/sendMessage",
    "Telegram, alone": f"bot = 123456789:AAH{TOKEN}",
    "Slack": f"https://hooks.slack.com/services/T0AAAA/B0BBBB/{TOKEN}",
    "Slack, without host": f"Max retries exceeded with url: /services/T0AAAA/B0BBBB/{TOKEN}",
    "Slack workflow": f"https://hooks.slack.com/workflows/T0AAAA/A0BBBB/123456/{TOKEN}",
    "Discord": f"https://discord.com/api/webhooks/123456789012345678/{TOKEN}",
    "Discord, version": f"https://discordapp.com/api/v10/webhooks/123456789012345678/{TOKEN}/x",
    "Teams": f"https://x.webhook.office.com/webhookb2/1a-2b@3c/IncomingWebhook/{TOKEN}/4d-5e",
    "Mattermost": f"https://chat.example.com/hooks/{TOKEN}",
    "Rocket.Chat": f"https://chat.example.com/hooks/64f0a1b2c3d4e5f6/{TOKEN}",
    "Zapier": f"https://hooks.zapier.com/hooks/catch/1234567/{SECRET}/",
    "IFTTT": f"https://maker.ifttt.com/trigger/door/with/key/{TOKEN}",
    "reset link": f"GET /accounts/reset/MQ/{TOKEN}/",
    "token in a path": f"https://example.com/api/token/{TOKEN}",
    "invitation": f"/invite/{TOKEN}",
}
BOUND = {
    "literals": f"INSERT INTO users (name, password) VALUES ('ada', '{SECRET}')",
    "two rows": f"INSERT INTO u (name, api_key) VALUES ('a', '{SECRET}'), ('b', 'it''s {SECRET}')",
    "SQLAlchemy": "[SQL: INSERT INTO users (name, password) VALUES (?, ?)]\n"
    f"[parameters: ('ada', '{SECRET}')]",
    "SQLAlchemy, many": "[SQL: INSERT INTO users (name, password) VALUES (%s, %s)]\n"
    f"[parameters: [('ada', '{SECRET}'), ('bob', '{SECRET}')]]",
    "update": "[SQL: UPDATE users SET name=?, password=? WHERE users.id = ?]\n"
    f"[parameters: ('ada', '{SECRET}', 5)]",
    "where": f"[SQL: SELECT id FROM users WHERE token = ?]\n[parameters: ('{SECRET}',)]",
    "function": "[SQL: INSERT INTO u (name, password) VALUES (%s, crypt(%s, 'bf'))]\n"
    f"[parameters: ('ada', '{SECRET}')]",
    "numbered": f"UPDATE u SET password = $2 WHERE name = $1; args=('ada', '{SECRET}')",
    "printed": repr(
        ValueError(
            "[SQL: INSERT INTO users (name, password) VALUES (?, ?)]\n"
            f"[parameters: ('ada', '{SECRET}')]"
        )
    ),
    "keys": "[SQL: SELECT id FROM u WHERE name = %(n)s AND u.token = %(t)s]\n"
    f"[parameters: {{'n': 'ada', 't': '{SECRET}'}}]",
    "keys of an insert": "INSERT INTO users (name, password) VALUES (:a, :b)"
    f" with {{'a': 'ada', 'b': '{SECRET}'}}",
    "quoted columns": 'insert into "users" ("name", "password") values (?, ?)'
    f" with ['ada', '{SECRET}']",
}
COMPARED = {
    "in": f"SELECT * FROM t WHERE token IN ('a', '{SECRET}')",
    "like": f"SELECT * FROM t WHERE t.api_key NOT LIKE '{SECRET}%'",
    "user": f"CREATE USER shop IDENTIFIED BY '{SECRET}'",
    "user, by a plugin": f"ALTER USER shop IDENTIFIED WITH caching_sha2_password BY '{SECRET}'",
}
REFUSED = {
    "key": f"DETAIL:  Key (password)=({SECRET}) already exists.",
    "keys": f"Key (name, api_key)=(ada, {SECRET}) is not present in table 'users'.",
    "comma": f"Key (lower(token))=(a, {SECRET}) already exists.",
    "row": f"null value\nDETAIL:  Failing row contains (1, ada, {SECRET}, null).",
    "entry": f"(1062, \"Duplicate entry '{SECRET}' for key 'users.api_key'\")",
}
APART = {
    "dict": str({"name": "password", "value": SECRET}),
    "JSON": json.dumps([{"name": "Authorization", "value": SECRET}]),
    "JSON in JSON": json.dumps({"body": json.dumps({"key": "api_key", "value": SECRET})}),
    "value first": json.dumps({"value": SECRET, "name": "DB_PASSWORD"}),
    "something between": str({"name": "password", "type": "text", "value": SECRET}),
    "object": f"Header(name='authorization', value='{SECRET}')",
    "YAML": f"env:\n- name: DB_PASSWORD\n  value: {SECRET}\n",
    "HTML": f'<input name="password" type="password" value="{SECRET}">',
    "XML": f'<property name="db.password">{SECRET}</property>',
    "plist": f"<key>api_key</key>\n<string>{SECRET}</string>",
    "settings file": f'<add key="Password" value="{SECRET}" />',
    "capital keys": json.dumps({"Name": "X-Api-Key", "Value": SECRET}),
}
OTHERS = {
    "doubled quotes": f"host=db password='it''s {SECRET}' dbname=shop",
    "CDATA": f"<user><password><![CDATA[a<b {SECRET}]]></password></user>",
    "redis-cli": f"redis-cli -h cache -a {SECRET} ping",
    "sshpass": f"sshpass -p '{SECRET}' ssh shop@host",
    "curl": f"curl -s --user shop:{SECRET} https://x",
    "arguments of curl": str(["curl", "-u", f"shop:{SECRET}"]),
    "LDAP": f"simple_bind_s('cn=app,dc=x', '{SECRET}')",
    "mysql": f"mysql -ushop -p{SECRET} shop",
    "arguments": str(["mysql", "-u", "root", f"-p{SECRET}"]),
    "digest": f'Authorization: Digest username="ada", uri="/", response="{SECRET}", qop=auth',
    "verifier": json.dumps({"grant_type": "code", "code_verifier": SECRET}),
}
TEXTS = {
    f"{kind}: {name}": text
    for kind, texts in {
        "form": FORMS,
        "URL": URLS,
        "path": PATHS,
        "bound": BOUND,
        "apart": APART,
        "compared": COMPARED,
        "refused": REFUSED,
        "other": OTHERS,
    }.items()
    for name, text in texts.items()
}


@each("text", TEXTS.values(), ids=TEXTS)
def test_secrets_of_many_shapes(text: str) -> None:
    """Hidden in a text, in the middle of one and when it is printed; twice changes no more."""
    for shown in (text, f"failed: {text} (at 5)", repr(text), repr(text.encode())):
        clean = scrubber.text(shown)
        assert "Hunter2" not in clean, clean
        assert HIDDEN in clean
        assert scrubber.text(clean) == clean


@each(
    "text",
    [
        form("comment").replace(SECRET, "a long comment"),
        form("upload", head='; filename="notes.txt"').replace(SECRET, "what was said"),
        "http://localhost:8000/@ada and https://example.com:8443/a@b",
        "https://medium.com/@ada/a-story-1234",
        "see https://example.com/users?mail=ada@example.com&sort=name",
        "time://12:30/x and ssh://git@github.com:22/shop",
        'engine = create_engine("postgres://{user}:{password}@{host}/shop")',
        "postgres://%s:%s@%s/shop and amqp://<user>:<password>@host and mysql://u:***@h",
        "/bots/settings, /bottle/12345678, /robot1:2",
        "/services/teams/billing, /hooks/react/useEffect, /api/webhooks/12345/deliveries",
        "GET /reset/done, /confirm/email, /verify/phone, /share/twitter, /token/refresh",
        "INSERT INTO users (name, city) VALUES ('ada', 'London')",
        "[SQL: SELECT id FROM orders WHERE city = ?]\n[parameters: ('London',)]",
        "[SQL: INSERT INTO users (name, password) VALUES (?, ?)]",
        "insert coins (now) to select one (or two) with care (really)",
        "SELECT id FROM orders WHERE city IN ('London', 'Paris') AND name LIKE 'a%'",
        "DETAIL:  Key (email)=(ada@example.com) already exists.",
        "(1062, \"Duplicate entry '5' for key 'orders.PRIMARY'\")",
        str({"name": "city", "value": "London"}),
        str({"name": "ada", "password_set": True, "value": "London"}),
        "name=ada, value=5",
        '<input name="city" value="London"><property name="db.host">db1</property>',
        "https://github.com/x/issues?state=open&sort=reset&hash=main",
        "?reset=1&confirm=yes&link=https%3A%2F%2Fexample.com",
        "mysql -u shop -p shop",
        "[SQL: SELECT id FROM u WHERE city = %(n)s AND name = %(t)s]\n"
        "[parameters: {'n': 'London', 't': 'ada'}]",
        "<city><![CDATA[London]]></city>",
        "curl -u shop https://example.com",
    ],
)
def test_what_only_looks_like_a_secret_stays_readable(text: str) -> None:
    """Names, ports, templates and everyday addresses tell what happened."""
    assert scrubber.text(text) == text


@each(
    ("query", "clean"),
    [
        (f"sv=2024&sig={SECRET}abc%3D", f"sv=2024&sig={HIDDEN}"),
        ("sig=onlyletters&x=1", f"sig={HIDDEN}&x=1"),
        (f"reset={SECRET}", f"reset={HIDDEN}"),
        (f"code=5&state={SECRET}", f"code=5&state={HIDDEN}"),
        (f"ticket=ST-1-{SECRET}&next=%2F", f"ticket={HIDDEN}&next=%2F"),
        ("state=open&reset=1&sign=leo", "state=open&reset=1&sign=leo"),
    ],
)
def test_parameters_that_open_something(query: str, clean: str) -> None:
    """In a query string, and in an address inside a text."""
    assert scrubber.query(query) == clean
    assert scrubber.text(f"GET https://example.com/x?{query}") == (
        f"GET https://example.com/x?{clean}"
    )


@each(
    "line",
    [
        f'raise ValueError("login password={SECRET}")',
        f'log.error("wrapped "\n          "token={SECRET}")',
        f'headers = {{"Cookie": "sid={SECRET}"}}',
        f'session.headers["X-Api-Key"] = "{SECRET}"',
        f"login(user, password='{SECRET}')",
        f'if password == "{SECRET}":',
        f'headers = [("authorization", "{SECRET}")]',
        f'text = "Authorization: Bearer {SECRET}"',
        f'"""\npassword = {SECRET}\n"""',
        f'url = "postgres://shop:a@{SECRET}@db/shop"',
        f'hook = "https://hooks.slack.com/services/T0AAAA/B0BBBB/{TOKEN}"',
    ],
)
def test_literals_of_source_lines(line: str) -> None:
    """Secrets that were written into the code; the number of lines stays."""
    lines = line.split("\n")
    clean = scrubber.source(lines)
    assert "Hunter2" not in "\n".join(clean)
    assert len(clean) == len(lines)


@each(
    "line",
    [
        "token = request.headers['X-Token-Of'] or token",
        'raise ValueError(f"login password={password}")',
        'log.error("token=%s user=%s", token, user)',
        'headers = {"Content-Type": "text/plain"}',
        'text = f"Authorization: Bearer {token}"',
        'url = f"https://{user}:{password}@{host}/"',
        'cursor.execute("INSERT INTO users (name, password) VALUES (?, ?)", row)',
        'key = "users"; author = "ada"; monkey = "george"',
        "password_field = None if password is None else hash(password)",
    ],
)
def test_source_lines_without_secrets_stay_as_they_are(line: str) -> None:
    """Names, and what is filled in later."""
    assert scrubber.source([line]) == [line]


def test_statement_and_arguments_in_two_variables() -> None:
    """The values of the arguments are told by the statement; other variables stay."""
    shown = {
        "sql": repr("INSERT INTO users (name, password) VALUES (%s, %s)"),
        "args": repr(("ada", SECRET)),
        "rows": repr([("bob", SECRET)]),
        "size": "(1, 2)",
        "args_of_another": "('x',)",
    }
    clean = hide_in_variables(shown, scrubber.hides)
    assert clean == {
        **shown,
        "args": f"('ada', {HIDDEN})",
        "rows": f"[('bob', {HIDDEN})]",
    }


def test_names_apart_from_values_in_data() -> None:
    """Contexts and breadcrumbs are data, not text."""
    assert scrubber.tree(
        {"headers": [{"name": "Authorization", "value": SECRET}, {"name": "Host", "value": "x"}]}
    ) == {"headers": [{"name": "Authorization", "value": HIDDEN}, {"name": "Host", "value": "x"}]}


@each(
    "text",
    [
        "select a = ? and " * 20_000,
        "insert into x (" + "password," * 20_000,
        "insert into users (password) values (" + "'" * 50_000,
        "form-data; name=password\n" * 10_000,
        "{'name': 'password', " * 10_000,
        "<input name='password' " * 10_000,
        "'value': 'x', " * 20_000 + "token",
        "://a:" * 30_000 + "@",
        "https://a:b" + "@/" * 50_000,
        "/webhooks/12345678/" * 20_000,
        "/reset/" * 40_000,
        "password='" + "''" * 50_000,
        "update token in ('" + "','" * 20_000,
        "password Key (x)=(" * 10_000,
        "Failing row contains (" * 10_000,
        "Authorization: Digest " + 'a="b", ' * 10_000,
    ],
    ids=range(16),
)
def test_a_hostile_text_takes_no_longer_than_any(text: str) -> None:
    """Texts of 10,000 characters are the longest that are looked at."""
    begin = time.process_time()
    for _ in range(3):
        scrubber.text(text[:10_000])
        scrubber.source([text[:10_000]])
    assert time.process_time() - begin < 1.5


DJANGO = """
import sys, json
from django.conf import settings
settings.configure(DEBUG=False, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x" * 50)
import django
django.setup()
from django.core.wsgi import get_wsgi_application
from django.urls import path
from django.views.decorators.debug import sensitive_variables
from inapp_monitor import Monitor

@sensitive_variables("diagnosis", "grade")
def named(request):
    diagnosis, grade, ward = "Hunter" + "2Zebra9", "Hunter" + "3Zebra9", "north wing"
    helper(grade)

def helper(grade):
    raise ValueError(f"no bed for {grade}")

@sensitive_variables()
def everything(request):
    what, ward = "Hunter" + "4Zebra9", "north wing"
    raise ValueError("no bed")

async def coroutine(request):
    ward = "north wing"
    await inner("Hunter" + "5Zebra9")

@sensitive_variables("given", "copy")
async def inner(given):
    copy = "Hunter" + "6Zebra9"
    raise LookupError("no bed")

urlpatterns = [path("named", named), path("all", everything), path("async", coroutine)]
monitor = Monitor(get_wsgi_application(), data_dir=sys.argv[1], log_errors=False)
from django.test import RequestFactory
for where in ("/named", "/all", "/async"):
    monitor(RequestFactory().get(where).environ, lambda *_: None)
monitor.refresh()
found = [monitor.tracker.get_issue(issue.id) for issue in monitor.tracker.list_issues()]
print(json.dumps([[issue.summary.title, issue.events] for issue in found]))
monitor.close()
"""


def test_what_django_calls_sensitive_is_hidden(tmp_path: Any) -> None:
    """By name, all of a function's, in functions that it calls and in coroutines; the values are
    gone from messages and source lines, and what was not named stays."""
    pytest.importorskip("django")
    script = tmp_path / "clinic.py"
    script.write_text(DJANGO)
    command = [sys.executable, str(script), str(tmp_path / "data")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode == 0, result.stderr
    kept = result.stdout
    assert len(json.loads(kept)) == 3
    for number in "23456":
        assert f"Hunter{number}Zebra9" not in kept
    views = {
        frame["function"]: frame["locals"]
        for _, events in json.loads(kept)
        for frame in events[0]["exceptions"][0]["frames"]
    }
    assert views["named"]["diagnosis"] == views["named"]["grade"] == HIDDEN
    assert views["helper"]["grade"] == HIDDEN
    assert views["inner"]["given"] == views["inner"]["copy"] == HIDDEN
    assert set(views["everything"].values()) == {HIDDEN}
    assert "north wing" in views["named"]["ward"]
    assert "north wing" in views["coroutine"]["ward"]


def test_planted_secrets_reach_no_event(monitor: Monitor) -> None:
    """In a variable, a message and a log record, by whichever way."""

    def fail() -> None:
        local = text  # noqa: F841
        raise ValueError(text)

    for text in TEXTS.values():
        monitor.tracker.capture(caught(fail), environ())
        monitor.tracker.capture_message(f"failed: {text}")
        monitor.tick()
    for issue in monitor.tracker.list_issues(500):
        detail = monitor.tracker.get_issue(issue.id)
        assert detail is not None
        assert "Hunter2" not in json.dumps([detail.summary.title, detail.events])
