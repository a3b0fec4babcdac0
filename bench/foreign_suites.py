"""Test suites of watched libraries, with hooks attached and without: the same outcome, each test.

    pip download --no-deps --no-binary django django==VERSION     (or sqlalchemy, psycopg2)
    tar xf django-VERSION.tar.gz
    python -m bench.foreign_suites django-VERSION [LABEL ...]

VERSION is the installed one; psycopg2's needs a PostgreSQL (PSYCOPG2_TESTDB_HOST and its like).
Labels are what the suite's own runner takes: names of Django's test packages, paths of SQLAlchemy's
`test` folder, modules of psycopg2's `tests`. Three runs: without hooks; with them, outside of any
request; with them, each test within a request of its own. Prints how many passed, failed and were
skipped, and each test whose outcome differs; fails when one does.
"""

from __future__ import annotations

import argparse
import atexit
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import unittest
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from inapp_monitor.ground import current_request
from inapp_monitor.traces import spans
from inapp_monitor.traces.attaching import attachments

MODES = ("without", "outside", "inside")
#: Loaded before the tests, so that the hooks are there from the first one on. (SQLAlchemy's suite
#: would else use its own folder, without what is compiled.)
LIBRARIES = ("sqlite3", "http.client", "jinja2", "django.db.backends.utils", "sqlalchemy.engine")
LIBRARIES += ("sqlalchemy.dialects.sqlite", "django.template.base", "psycopg2", "psycopg")
LIBRARIES += ("django.core.cache.backends.base", "aiosqlite")
#: What is run where no labels are given.
DJANGO = ("backends", "aggregation", "queries", "transactions", "db_utils", "raw_query", "lookup")
DJANGO += ("basic", "bulk_create", "update", "delete", "expressions", "annotations", "test_utils")
DJANGO += ("cache", "template_tests", "async", "schema", "migrations", "prefetch_related")
SQLALCHEMY = ("test/sql", "test/engine", "test/orm", "test/dialect/sqlite")
PSYCOPG2 = ("tests.test_suite",)

#: What has to differ, and why.
KNOWN = {
    "test_cursor_factory_none (tests.test_connection.ConnectionTests.test_cursor_factory_none)": (
        "its cursors are of a type of C, so those of the hook are of a subclass"
    )
}


class Outcomes:
    """Which test ended how, a line each in a file."""

    def __init__(self, path: Path) -> None:
        self.seen = 0
        self._path = path
        self._file = path.open("a", buffering=1)
        self._pid = os.getpid()
        atexit.register(self._note_seen)

    def _note_seen(self) -> None:
        if os.getpid() == self._pid:
            self.count_spans()
            self._path.with_suffix(".seen").write_text(str(self.seen))

    def count_spans(self) -> None:
        """Count what the hooks have noted in and outside of requests, and forget it."""
        record = current_request.entered()
        if record is not None and record.spans:
            more = (record.spans.more or {}).values()
            self.seen += len(record.spans) + sum(entry[1] for entry in more)
        self.seen += len(spans.outside.spans)
        spans.outside.spans.clear()
        if record is not None:
            current_request.enter(SimpleNamespace(environ={}, spans=None))

    def note(self, test: object, outcome: str) -> None:
        """A test ended so; those of child processes are their own matter."""
        if os.getpid() == self._pid:
            self._file.write(json.dumps([str(test), outcome]) + "\n")


class _Owner:
    """Of what is attached here."""


_OWNER = _Owner()


def attach() -> None:
    """Attach to all that is loaded; a hook that cannot be attached is a failure."""
    attachments.attach(_OWNER)
    failed = [each for each in attachments.states() if each.state == "failed"]
    if failed:
        raise RuntimeError(f"not attached: {failed}")


def broke(failure: BaseException) -> None:
    """A failure of the hooks' own, which an application would not see."""
    raise SystemExit(f"a hook failed: {failure!r}") from failure


class Plugin:
    """For pytest."""

    def __init__(self, outcomes: Outcomes, mode: str) -> None:
        self._outcomes, self._mode = outcomes, mode

    def pytest_runtest_setup(self) -> None:
        """Before each test."""
        before_test(self._outcomes, self._mode)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """After each phase of one."""
        if report.when == "call" or report.outcome != "passed":
            self._outcomes.note(f"{report.nodeid} {report.when}", report.outcome)


def before_test(outcomes: Outcomes, mode: str) -> None:
    """As a monitor's tick does it, and in a request of its own."""
    if mode != "without":
        attach()
    if mode == "inside" and current_request.entered() is None:
        current_request.enter(SimpleNamespace(environ={}, spans=None))
    outcomes.count_spans()


def watch_unittest(outcomes: Outcomes, mode: str) -> None:
    """Note each result, whatever the runner."""
    for method, outcome in {
        "addSuccess": "passed",
        "addError": "error",
        "addFailure": "failed",
        "addSkip": "skipped",
        "addExpectedFailure": "expected",
        "addUnexpectedSuccess": "unexpected",
    }.items():
        _note_result(outcomes, method, outcome)
    begin = unittest.TestResult.startTest

    def start_test(self: Any, test: Any) -> None:
        before_test(outcomes, mode)
        begin(self, test)

    unittest.TestResult.startTest = start_test  # type: ignore[method-assign]


def _note_result(outcomes: Outcomes, method: str, outcome: str) -> None:
    original: Callable[..., None] = getattr(unittest.TestResult, method)

    def add(self: Any, test: Any, *args: Any) -> None:
        outcomes.note(test, outcome)
        original(self, test, *args)

    setattr(unittest.TestResult, method, add)


def child(folder: Path, mode: str, path: Path, labels: list[str]) -> None:
    """Run the suite in this process."""
    outcomes = Outcomes(path)
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    if mode != "without":
        attach()
        spans.outside.on_failure = broke
    name = folder.name.lower()
    if name.startswith("django"):
        watch_unittest(outcomes, mode)
        os.chdir(folder / "tests")
        sys.path.insert(0, str(folder / "tests"))
        sys.argv = ["runtests.py", "--settings=test_sqlite", "--parallel=1", *(labels or DJANGO)]
        runpy.run_path("runtests.py", run_name="__main__")
    elif name.startswith("sqlalchemy"):
        import pytest

        os.chdir(folder)
        options = ["-q", "-p", "no:cacheprovider", "--disable-warnings", "--tb=no"]
        sys.exit(pytest.main([*options, *(labels or SQLALCHEMY)], [Plugin(outcomes, mode)]))
    else:
        watch_unittest(outcomes, mode)
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        unittest.main(module=None, argv=["unittest", *(labels or PSYCOPG2)])


def run(folder: Path, mode: str, labels: list[str]) -> dict[str, str]:
    """Outcomes by test, in a process of its own."""
    path = Path(tempfile.mkdtemp()) / mode
    command = [sys.executable, "-m", "bench.foreign_suites", str(folder), *labels]
    log = path.with_suffix(".log")
    with log.open("w") as output:
        code = subprocess.run(
            [*command, "--child", mode, "--outcomes", str(path)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False,
        ).returncode  # fmt: skip
    found: dict[str, str] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        test, outcome = json.loads(line)
        found[test] = outcome if found.get(test, outcome) == outcome else "mixed"
    seen = path.with_suffix(".seen")
    noted = seen.read_text() if seen.exists() else "?"
    counts = dict(Counter(found.values()))
    print(f"{mode:8} {len(found)} tests {counts}, exit {code}, {noted} spans noted, {log}")
    sys.stdout.flush()
    return found


def main() -> None:
    """Run all three, and say what differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("labels", nargs="*")
    parser.add_argument("--child", default="")
    parser.add_argument("--outcomes", type=Path)
    given = parser.parse_args()
    folder = given.folder.absolute()
    if given.child:
        child(folder, given.child, given.outcomes, given.labels)
        return
    before, *runs = [run(folder, mode, given.labels) for mode in MODES]
    differing: set[str] = set()
    for mode, found in zip(MODES[1:], runs, strict=True):
        for test in sorted(before.keys() | found.keys()):
            outcomes = before.get(test, "not run"), found.get(test, "not run")
            if outcomes[0] != outcomes[1] and test in KNOWN:
                print(f"{test}: differs, {KNOWN[test]} ({mode})")
            elif outcomes[0] != outcomes[1]:
                differing.add(test)
                print("{}: {} without hooks, {} with".format(test, *outcomes), f"({mode})")
    print(f"{len(differing)} tests differ" if differing else "no other test differs")
    sys.exit(bool(differing) or not before)


if __name__ == "__main__":
    main()
