"""What traces cost a request: Flask with 0, 3 and 20 statements through SQLAlchemy on SQLite.

    python -m bench.traces [--rounds 60] [--quick]

Each candidate runs in a process of its own, because all of them replace methods of libraries; one
block of requests after the other, in random order, because the speed of a shared machine changes by
the second. What a candidate adds is the median of its blocks less that of the bare ones, by the
processor time of the requests' thread; beside it, with what its other threads take. Ours runs with
all defaults, and once with traces off. One process differs from the next by some per cent, whatever
it does (where its memory lies, its hash seed); so what traces alone add is measured within one, by
turns with and without them. The others send nothing: their transports are replaced. What is not
installed is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from bench.request_path import ENVIRON, start_response

App = Callable[..., Any]
OURS, OFF = "inapp_monitor", "inapp_monitor, traces off"
#: Microseconds that ours may add, by statements.
GOALS = {0: 1.5, 3: 20.0, 20: 140.0}
#: Requests of one block, by statements.
BLOCKS = {0: 60, 3: 30, 20: 10}
#: Requests before each block that are not measured.
WARM_UP = 5
#: How many times cheaper ours must be than the cheapest peer, with three statements.
RATIO = 15


def shop() -> tuple[Any, Any]:
    """The application, and its engine."""
    import sqlalchemy as sa
    from flask import Flask
    from sqlalchemy.orm import DeclarativeBase, Session

    class Base(DeclarativeBase):
        pass

    class Product(Base):
        __tablename__ = "product"
        id = sa.Column(sa.Integer, primary_key=True)
        name = sa.Column(sa.String)

    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Product(name=f"tea {number}") for number in range(50)])
        session.commit()
    app = Flask(__name__)

    @app.route("/0")
    def none() -> str:
        return "hello"

    @app.route("/3")
    def three() -> str:
        with Session(engine) as session:
            one = session.get(Product, 1)
            other = session.scalars(sa.select(Product).where(Product.name == "tea 7")).one()
            count = session.scalar(sa.select(sa.func.count()).select_from(Product))
            return f"{one.name if one else ''} {other.name} {count}"

    @app.route("/20")
    def twenty() -> str:
        with Session(engine) as session:
            names = [
                session.scalar(sa.select(Product.name).where(Product.id == n)) for n in range(20)
            ]
            return str(len(names))

    return app, engine


def ours(app: Any, _engine: Any) -> App:
    from inapp_monitor import Monitor

    return Monitor(app.wsgi_app, data_dir=tempfile.mkdtemp(), token="t" * 20)


def ours_off(app: Any, _engine: Any) -> App:
    from inapp_monitor import Monitor

    return Monitor(app.wsgi_app, data_dir=tempfile.mkdtemp(), token="t" * 20, traces=False)


def sentry(app: Any, _engine: Any) -> App:
    import sentry_sdk
    from sentry_sdk.transport import Transport

    class Nothing(Transport):
        def capture_envelope(self, envelope: Any) -> None: ...

    sentry_sdk.init(
        dsn="http://key@127.0.0.1/1", traces_sample_rate=1.0, transport=Nothing(), debug=False
    )
    return app  # type: ignore[no-any-return]  # it replaces `Flask.__call__`


def opentelemetry(app: Any, engine: Any) -> App:
    from opentelemetry import trace
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nothing(SpanExporter):
        def export(self, spans: Any) -> Any:
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nothing()))
    trace.set_tracer_provider(provider)
    FlaskInstrumentor().instrument_app(app)
    _cursor_events(engine, trace.get_tracer("bench"))
    return app.wsgi_app  # type: ignore[no-any-return]


def _cursor_events(engine: Any, tracer: Any) -> None:
    """What its instrumentation of SQLAlchemy does, which refuses the newest SQLAlchemy."""
    from sqlalchemy import event

    def before(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: Any) -> None:  # fmt: skip  # noqa: E501
        context.bench_span = tracer.start_span(
            statement.split()[0], attributes={"db.statement": statement, "db.system": "sqlite"}
        )

    def after(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: Any) -> None:  # fmt: skip  # noqa: E501
        context.bench_span.end()

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)


def elastic(app: Any, _engine: Any) -> App:
    import elasticapm
    from elasticapm.contrib.flask import ElasticAPM
    from elasticapm.transport.base import Transport

    class Nothing(Transport):
        def send(self, data: Any, *_: Any, **__: Any) -> None: ...

    elasticapm.instrument()
    settings: dict[str, Any] = {
        "SERVICE_NAME": "bench",
        "TRANSPORT_CLASS": f"{__name__}.{Nothing.__name__}",
    }
    globals()[Nothing.__name__] = Nothing
    settings |= {"DISABLE_SEND": True, "CENTRAL_CONFIG": False, "CLOUD_PROVIDER": False}
    app.config["ELASTIC_APM"] = settings
    ElasticAPM(app)
    return app.wsgi_app  # type: ignore[no-any-return]


def new_relic(app: Any, _engine: Any) -> App:
    import newrelic.agent

    settings = newrelic.agent.global_settings()
    settings.developer_mode = True
    settings.license_key = "0" * 40
    newrelic.agent.initialize()
    newrelic.agent.register_application(timeout=10.0)
    return newrelic.agent.WSGIApplicationWrapper(app.wsgi_app)  # type: ignore[no-any-return]


def scout(app: Any, engine: Any) -> App:
    from scout_apm.flask import ScoutApm
    from scout_apm.sqlalchemy import instrument_sqlalchemy

    app.config.update(SCOUT_MONITOR=True, SCOUT_CORE_AGENT_LAUNCH=False, SCOUT_KEY="key")
    app.config["SCOUT_CORE_AGENT_DOWNLOAD"] = False
    ScoutApm(app)
    instrument_sqlalchemy(engine)
    return app.wsgi_app  # type: ignore[no-any-return]


CANDIDATES: dict[str, tuple[str, Callable[[Any, Any], App]]] = {
    "bare": ("flask", lambda app, _engine: app.wsgi_app),
    OFF: ("inapp_monitor", ours_off),
    OURS: ("inapp_monitor", ours),
    "OpenTelemetry SDK": ("opentelemetry.instrumentation.flask", opentelemetry),
    "sentry-sdk": ("sentry_sdk", sentry),
    "elastic-apm": ("elasticapm", elastic),
    "New Relic": ("newrelic", new_relic),
    "scout_apm": ("scout_apm", scout),
}


def drive(app: App, path: str, requests: int) -> tuple[float, float]:
    """Processor seconds of one request: of this thread, and of the whole process."""
    environ = {**ENVIRON, "PATH_INFO": path}
    all_before, before = time.process_time(), time.thread_time()
    for _ in range(requests):
        body = app(dict(environ), start_response)
        for _chunk in body:
            pass
        close = getattr(body, "close", None)
        if close is not None:
            close()
    after, all_after = time.thread_time(), time.process_time()
    return (after - before) / requests, (all_after - all_before) / requests


def without_traces(app: App, path: str, requests: int) -> float:
    """As `drive` in this process while nothing is attached to libraries."""
    from inapp_monitor.traces.attaching import attachments

    attachments.detach_all()
    try:
        drive(app, path, WARM_UP)
        return drive(app, path, requests)[0]
    finally:
        attachments.attach(_OWNER)


class _Owner:
    """Of what is attached here."""


_OWNER = _Owner()


def child(name: str) -> None:
    """Answers lines `path requests` with what a request took, until its input ends."""
    output, sys.stdout = sys.stdout, sys.stderr
    app, engine = shop()
    wrapped = CANDIDATES[name][1](app, engine)
    plain = ours_off(app, engine) if name == OURS else None
    for path in ("/0", "/3", "/20"):
        drive(wrapped, path, 60)
    for line in sys.stdin:
        path, requests = line.split()
        before = random.random() < 0.5  # whoever comes second finds warmer caches
        off = without_traces(plain, path, int(requests)) if plain and before else 0.0
        drive(wrapped, path, WARM_UP)  # what is done a few times a second is done in these
        took = drive(wrapped, path, int(requests))
        if plain and not before:
            off = without_traces(plain, path, int(requests))
        print(json.dumps([*took, took[0] - off]), file=output, flush=True)


def ask(process: subprocess.Popen[str], path: str, requests: int) -> tuple[float, float, float]:
    """Let a child run a block: of a request by its thread, by all, and what traces alone add."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{path} {requests}\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    thread, everything, added = json.loads(answer)
    return thread * 1e6, everything * 1e6, added * 1e6


def installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def start() -> dict[str, subprocess.Popen[str]]:
    """A process for each candidate that works here."""
    found = {}
    for name, (module, _) in CANDIDATES.items():
        if not installed(module):
            print(f"{name}: not installed")
            continue
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.traces", "--child", name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            ask(process, "/0", 1)
        except (ValueError, OSError):
            print(f"{name}: does not start")
            continue
        found[name] = process
    return found


def measure(processes: dict[str, subprocess.Popen[str]], statements: int, rounds: int) -> bool:
    """Print what each adds. Returns whether ours is within its goal."""
    names = list(processes)
    samples: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
    for _ in range(rounds):
        random.shuffle(names)
        for name in names:
            samples[name].append(ask(processes[name], f"/{statements}", BLOCKS[statements]))
    low = {name: _low(values) for name, values in samples.items()}
    bare, bare_all = low.pop("bare")
    print(f"\n{statements} statements: bare {bare:.0f} us a request")
    for name, (thread, everything) in low.items():
        print(f"  {name:28s} +{thread - bare:8.1f} us   all threads +{everything - bare_all:8.1f}")
    mine = statistics.median(added for _, _, added in samples[OURS])
    print(f"  traces alone: +{mine:.1f} us (goal {GOALS[statements]})")
    peers = {name: each[0] - bare for name, each in low.items() if name not in (OURS, OFF)}
    if peers and statements == 3:
        cheapest = min(peers, key=lambda name: peers[name])
        ratio = peers[cheapest] / max(low[OURS][0] - bare, 0.1)  # with all that ours does
        print(f"  ours : {cheapest} = 1 : {ratio:.1f} (goal 1 : {RATIO})")
    return mine <= GOALS[statements]


def _low(values: list[tuple[float, float, float]]) -> tuple[float, float]:
    """The lower quartile: what the code takes when nobody else is at work."""
    threads, everything, _ = zip(*values, strict=True)
    return statistics.quantiles(threads, n=4)[0], statistics.quantiles(everything, n=4)[0]


def main() -> None:
    """Measure all, print, and say whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--child", default="")
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child)
        return
    processes = start()
    rounds = 12 if arguments.quick else arguments.rounds
    good = [measure(processes, statements, rounds) for statements in GOALS]
    for process in processes.values():
        process.terminate()
    print("\ngoals met" if all(good) else "\na goal is missed")


if __name__ == "__main__":
    main()
