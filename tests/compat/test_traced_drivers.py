"""Each driver over a real server gives the statements that it ran, once: the server's log says so.

    apt install postgresql mariadb-server redis-server
    pip install "psycopg[binary]" psycopg2-binary pymysql mysqlclient redis httpx flask-caching mako
    pip install celery rq

What is not installed is skipped.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

import pytest

from inapp_monitor.traces.spans import CACHE, HTTP, QUEUE, TEMPLATE
from tests.ports import number_of, reserve_port
from tests.traces.conftest import Traced

pytestmark = [pytest.mark.compat, pytest.mark.peer]


def _as(user: str, folder: Path) -> dict[str, Any]:
    """How a server is started: not as root, which they refuse."""
    if os.getuid() != 0:
        return {}
    shutil.chown(folder, user)
    return {"user": user}


def _wait(connect: Callable[[], Any]) -> Any:
    for _ in range(150):
        try:
            return connect()
        except Exception:  # whatever the driver raises until the server listens
            time.sleep(0.2)
    return connect()


class Server:
    """A server of the machine's own, with a log of what it was asked."""

    def __init__(self, port: int, log: Path, folder: Path) -> None:
        self.port = port
        self.log = log
        self.folder = folder

    def marked(self, pattern: str) -> list[str]:
        """The statements in its log that hold the mark of these tests."""
        time.sleep(0.3)
        found = re.findall(pattern, self.log.read_text("utf-8", "replace"))
        return [text for text in found if "shop_" in text]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL that logs each statement."""
    found = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")))
    if not found:
        pytest.skip("PostgreSQL is not installed")
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    run = _as("postgres", folder)
    reserved = reserve_port()
    data, log = folder / "data", folder / "log"
    init = [f"{found[-1]}/initdb", "-D", data, "-U", "shop", "-A", "trust", "-N"]
    subprocess.run(init, check=True, capture_output=True, cwd=folder, **run)
    with log.open("w") as output:
        server = subprocess.Popen(
            [
                *(f"{found[-1]}/postgres", "-D", data, "-p", str(number_of(reserved))),
                *("-k", folder, "-c", "log_statement=all", "-c", "fsync=off"),
            ],
            stdout=output, stderr=output, cwd=folder, **run,
        )  # fmt: skip
    yield Server(number_of(reserved), log, folder)
    server.terminate()
    server.wait(20)
    reserved.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def mariadb() -> Iterator[Server]:
    """A MariaDB that logs each statement."""
    if shutil.which("mariadbd") is None:
        pytest.skip("MariaDB is not installed")
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    run = _as("mysql", folder)
    reserved = reserve_port()
    data, log = folder / "data", folder / "general.log"
    init = [
        "mariadb-install-db",
        "--no-defaults",
        f"--datadir={data}",
        "--auth-root-authentication-method=normal",
    ]
    subprocess.run(init, check=True, capture_output=True, cwd=folder, **run)
    server = subprocess.Popen(
        [
            *("mariadbd", "--no-defaults", f"--datadir={data}", f"--port={number_of(reserved)}"),
            *("--bind-address=127.0.0.1", f"--socket={folder}/s", "--general-log=1"),
            f"--general-log-file={log}",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, **run,
    )  # fmt: skip
    yield Server(number_of(reserved), log, folder)
    server.terminate()
    server.wait(30)
    reserved.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def redis_port() -> Iterator[int]:
    """A Redis."""
    if shutil.which("redis-server") is None:
        pytest.skip("Redis is not installed")
    reserved = reserve_port()
    port = number_of(reserved)
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield port
    server.terminate()
    server.wait(10)
    reserved.close()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Callable[[Callable[[], object]], list[Any]]]:
    """Runs something in a request. Returns its spans."""
    made: list[Traced] = []

    def run(work: Callable[[], object]) -> list[Any]:
        if not made:
            made.append(Traced(tmp_path / "data", trace_hosts=("127.0.0.1",)))
        return made[0].tracing.shaped(made[0].run(work))

    yield run
    for each in made:
        each.monitor.close()


def _shop(connection: Any) -> None:
    """What is run over each driver of the DB-API: reads, writes, many, and an error."""
    cursor = connection.cursor()
    cursor.execute("create table if not exists shop_a (id integer, name varchar(40))")
    cursor.execute("insert into shop_a values (%s, %s)", (1, "S3CR3T"))
    cursor.execute("insert into shop_a values (2, 'S3CR3T'), (3, 'S3CR3T')")
    for number in range(5):
        cursor.execute("select name from shop_a where id = %s", (number,))
        cursor.fetchall()
    connection.commit()
    with pytest.raises(Exception, match="shop_nothing"):
        cursor.execute("select * from shop_nothing where name = 'S3CR3T'")
    connection.rollback()
    cursor.execute("drop table shop_a")
    connection.commit()
    cursor.close()


SHAPES = [
    "create table if not exists shop_a (id integer, name varchar(?))",
    "insert into shop_a values (?)",
    "insert into shop_a values (?)",
    *["select name from shop_a where id = ?"] * 5,
    "select * from shop_nothing where name = ?",
    "drop table shop_a",
]
LOG_OF_POSTGRESQL = r"(?:statement|execute [^:]*): (.*)"


def check(spans: list[Any], logged: list[str], system: str) -> None:
    """As many as the server was asked, once each; rows and the error are known."""
    assert [span.text for span in spans] == SHAPES
    assert len(logged) == len(SHAPES)
    assert {span.system for span in spans} == {system}
    assert [span.rows for span in spans[1:3]] == [1, 2]
    assert [bool(span.error) for span in spans] == [False] * 8 + [True, False]


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_postgresql(driver: str, postgresql: Server, watched: Any) -> None:
    """Used bare."""
    module = pytest.importorskip(driver)
    where = {"host": "127.0.0.1", "port": postgresql.port, "user": "shop", "dbname": "postgres"}
    _wait(lambda: module.connect(**where)).close()
    before = len(postgresql.marked(LOG_OF_POSTGRESQL))
    older = module.connect(**where) if driver == "psycopg" else None
    watched(lambda: None)

    def work() -> None:
        connection = older or module.connect(**where)
        _shop(connection)
        connection.close()

    found = watched(work)
    check(found, postgresql.marked(LOG_OF_POSTGRESQL)[before:], "postgresql postgres")


def test_psycopg2_stays_what_it_was(postgresql: Server, watched: Any) -> None:
    """Functions of C that look at types accept its connections and cursors."""
    psycopg2 = pytest.importorskip("psycopg2")
    extras = pytest.importorskip("psycopg2.extras")
    where = {"host": "127.0.0.1", "port": postgresql.port, "user": "shop", "dbname": "postgres"}
    connect = psycopg2.connect  # as `from psycopg2 import connect` does it
    _wait(lambda: connect(**where)).close()
    watched(lambda: None)

    def work() -> None:
        connection = connect(**where)
        extras.register_uuid(conn_or_curs=connection)
        assert psycopg2.extensions.quote_ident("a b", connection) == '"a b"'
        cursor = connection.cursor(cursor_factory=extras.RealDictCursor)
        cursor.execute(
            psycopg2.sql.SQL("select {} as {}").format(
                psycopg2.sql.Literal("S3CR3T"), psycopg2.sql.Identifier("x")
            )
        )
        assert dict(cursor.fetchone()) == {"x": "S3CR3T"}
        named = connection.cursor("shop_cursor")
        named.execute("select 1")
        assert named.fetchall() == [(1,)]
        cursor.callproc("lower", ("S3CR3T",))
        cursor.execute("create temp table shop_c (name text)")
        cursor.copy_from(StringIO("S3CR3T\n"), "shop_c")
        cursor.copy_expert("copy shop_c to stdout", StringIO())
        connection.close()

    pytest.importorskip("psycopg2.sql")
    assert [span.text for span in watched(work)] == [
        'select ? as "x"', "select ?", "CALL lower", "create temp table shop_c (name text)",
        "COPY shop_c FROM STDIN", "copy shop_c to stdout",
    ]  # fmt: skip


def test_psycopg_in_coroutines_and_on_the_server(postgresql: Server, watched: Any) -> None:
    """Asynchronous cursors, cursors on the server, composed statements, pipelines, many; rows that
    are copied and streamed."""
    psycopg = pytest.importorskip("psycopg")
    where = {"host": "127.0.0.1", "port": postgresql.port, "user": "shop", "dbname": "postgres"}
    _wait(lambda: psycopg.connect(**where)).close()
    watched(lambda: None)

    async def asynchronous() -> None:
        async with await psycopg.AsyncConnection.connect(**where) as connection:
            await connection.execute("select %s", ("S3CR3T",))
            async with connection.cursor() as cursor:
                await cursor.executemany("select %s", [(1,), (2,)])
                assert [row async for row in cursor.stream("select 1")] == [(1,)]
                async with cursor.copy("copy (select 1) to stdout") as rows:
                    assert [row async for row in rows.rows()] == [("1",)]

    def work() -> None:
        with psycopg.connect(**where) as connection:
            composed = psycopg.sql.SQL("select {}").format(psycopg.sql.Literal("S3CR3T"))
            connection.execute(composed)
            with connection.cursor("shop_cursor") as cursor:
                cursor.execute("select generate_series(1, 10)")
                assert len(cursor.fetchall()) == 10
            with connection.cursor() as cursor:
                assert list(cursor.stream("select %s", ("S3CR3T",))) == [("S3CR3T",)]
                with pytest.raises(psycopg.Error):
                    next(cursor.stream("select 1 / 0"))
                connection.rollback()
                with cursor.copy("copy (select 1) to stdout") as rows:
                    assert list(rows.rows()) == [("1",)]
            with connection.pipeline():
                connection.execute("select 7")
        asyncio.run(asynchronous())

    shapes = [span.text for span in watched(work)]
    assert shapes == [
        "select ?", "select generate_series(?)", "select ?", "select ? / ?",
        "copy (select ?) to stdout", "select ?", "select ?", "select ?", "select ?",
        "copy (select ?) to stdout",
    ]  # fmt: skip


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_sqlalchemy_over_postgresql_counts_once(
    driver: str, postgresql: Server, watched: Any
) -> None:
    """The driver's hook is silent below SQLAlchemy's."""
    pytest.importorskip(driver)
    sa = pytest.importorskip("sqlalchemy")
    url = f"postgresql+{driver}://shop@127.0.0.1:{postgresql.port}/postgres"
    engine = sa.create_engine(url, pool_pre_ping=False)
    _wait(lambda: engine.connect()).close()
    before = len(postgresql.marked(LOG_OF_POSTGRESQL))

    def work() -> None:
        with engine.begin() as connection:
            connection.execute(sa.text("create table shop_s (id int)"))
            rows = [{"id": n} for n in range(3)]
            connection.execute(sa.text("insert into shop_s values (:id)"), rows)
            for number in range(4):
                connection.execute(sa.text("select * from shop_s where id = :id"), {"id": number})
            connection.execute(sa.text("drop table shop_s"))

    shapes = [span.text for span in watched(work)]
    assert shapes == [
        "create table shop_s (id int)", "insert into shop_s values (?)",
        *["select * from shop_s where id = ?"] * 4, "drop table shop_s",
    ]  # fmt: skip
    logged = postgresql.marked(LOG_OF_POSTGRESQL)[before:]
    assert len(logged) == len(shapes) + 2  # three rows went by executemany, which is one call
    engine.dispose()


@pytest.mark.parametrize("driver", ["pymysql", "MySQLdb"])
def test_mariadb(driver: str, mariadb: Server, watched: Any) -> None:
    """Used bare, on a connection that is older than the monitor."""
    module, cursors = pytest.importorskip(driver), pytest.importorskip(f"{driver}.cursors")
    where = {"host": "127.0.0.1", "port": mariadb.port, "user": "root", "database": "test"}
    connection = _wait(lambda: module.connect(**where))
    before = len(mariadb.marked(r"Query\t(.*)"))

    def work() -> None:
        _shop(connection)
        cursor = connection.cursor()
        cursor.execute("select \"S3CR3T\", 'it\\'s S3CR3T' # S3CR3T")
        cursor.executemany("select %s", [(1,), (2,)])
        streamed = connection.cursor(cursors.SSCursor)
        streamed.execute("select 1")
        streamed.close()
        with pytest.raises(module.Error):
            cursor.callproc("no_procedure")

    watched(lambda: None)
    *found, quoted, many, streamed, called = watched(work)
    connection.close()
    logged = mariadb.marked(r"Query\t(.*)")[before:]
    check(found, logged, "mysql test")
    assert (quoted.text, many.text) == ("select ?, ?", "select ?")
    assert (streamed.text, streamed.rows) == ("select ?", None)
    assert (called.text, called.error) == ("CALL no_procedure", "OperationalError")


def test_redis(redis_port: int, watched: Any) -> None:
    """Commands and pipelines; neither keys nor values."""
    redis = pytest.importorskip("redis")
    client = _wait(lambda: redis.Redis(port=redis_port).ping() and redis.Redis(port=redis_port))

    def work() -> None:
        client.set("S3CR3T", "S3CR3T")
        client.get("S3CR3T")
        assert client.get("missing") is None
        with client.pipeline() as pipeline:
            pipeline.get("S3CR3T").get("S3CR3T").execute()
        asyncio.run(asynchronous())

    async def asynchronous() -> None:
        async with redis.asyncio.Redis(port=redis_port) as twin:
            await twin.get("S3CR3T")
            await twin.pipeline().get("S3CR3T").execute()

    watched(lambda: None)
    found = watched(work)
    assert [(span.kind, span.text) for span in found] == [
        (CACHE, "SET"), (CACHE, "GET"), (CACHE, "GET"), (CACHE, "PIPELINE"), (CACHE, "GET"),
        (CACHE, "PIPELINE"),
    ]  # fmt: skip
    assert {span.system for span in found} == {"redis"}


class Answer(BaseHTTPRequestHandler):
    traces: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.traces += [each[3:35] for each in self.headers.get_all("traceparent", [])]
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/here?S3CR3T")
        else:
            self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def http_port() -> Iterator[int]:
    """A server that redirects /moved."""
    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("client", ["requests", "urllib3", "httpx", "urllib"])
def test_a_redirect_is_two_calls(client: str, http_port: int, watched: Any) -> None:
    """Each hop is one span, whatever lies on top of it."""
    url = f"http://127.0.0.1:{http_port}/moved"

    def work() -> None:
        if client == "requests":
            pytest.importorskip("requests").get(url, timeout=5)
        elif client == "urllib3":
            pytest.importorskip("urllib3").PoolManager().request("GET", url)
        elif client == "httpx":
            pytest.importorskip("httpx").get(url, follow_redirects=True)
        else:
            import urllib.request

            urllib.request.urlopen(url, timeout=5).read()

    if client != "urllib":
        pytest.importorskip(client)
    watched(lambda: None)
    Answer.traces.clear()
    found = watched(work)
    assert [(span.kind, span.text, span.rows) for span in found] == [
        (HTTP, f"GET 127.0.0.1:{http_port}", 302), (HTTP, f"GET 127.0.0.1:{http_port}", 200),
    ]  # fmt: skip
    assert len(Answer.traces) == 2 and len(set(Answer.traces)) == 1


def test_caches_templates_and_queues(redis_port: int, watched: Any) -> None:
    """Flask-Caching, Mako, Celery and RQ as producers."""
    flask = pytest.importorskip("flask")
    caching = pytest.importorskip("flask_caching")
    mako = pytest.importorskip("mako.template")
    celery = pytest.importorskip("celery")
    rq = pytest.importorskip("rq")
    redis = pytest.importorskip("redis")
    app = flask.Flask("shop")
    cache = caching.Cache(app, config={"CACHE_TYPE": "SimpleCache"})
    tasks = celery.Celery("shop", broker="memory://")
    client = redis.Redis(port=redis_port)
    _wait(client.ping)

    @tasks.task(name="shop.send_mail")
    def send_mail(address: str) -> None: ...

    def work() -> None:
        with app.app_context():
            cache.set("S3CR3T", "S3CR3T")
            assert cache.get("S3CR3T") == "S3CR3T"
        assert mako.Template("hello ${name}").render(name="S3CR3T") == "hello S3CR3T"
        send_mail.delay("S3CR3T")
        rq.Queue(connection=client).enqueue("shop.report", "S3CR3T")

    watched(lambda: None)
    found = watched(work)
    assert [(s.kind, s.text) for s in found if s.system != "redis"] == [
        (CACHE, "set"), (CACHE, "get"), (TEMPLATE, "(string)"), (QUEUE, "send shop.send_mail"),
        (QUEUE, "enqueue shop.report"),
    ]  # fmt: skip
    assert not any("S3CR3T" in span.text for span in found)
