"""Under a test runner a wrapped application's monitor does nothing unless it is wanted."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from inapp_monitor import Monitor

APP = """
    import threading
    import inapp_monitor

    def shop(environ, start_response):
        start_response("200 OK", [])
        return [b"shop"]

    def visit(app):
        environ = {"PATH_INFO": "/", "REQUEST_METHOD": "GET"}
        return b"".join(app(environ, lambda *given: None))

    app = inapp_monitor.Monitor(shop%s)
"""

PYTEST = """
    import threading
    import shop

    def test_shop():
        assert shop.visit(shop.app) == b"shop"
        shop.app.incr("orders")
        assert threading.active_count() == 1
"""
UNITTEST = """
    import threading, unittest
    import shop

    class Test(unittest.TestCase):
        def test_shop(self):
            self.assertEqual(shop.visit(shop.app), b"shop")
            self.assertEqual(threading.active_count(), 1)
"""


def run(directory: Path, *command: str) -> str:
    paths = [str(directory), *sys.path]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def write(directory: Path, name: str, text: str) -> None:
    (directory / name).write_text(textwrap.dedent(text), "utf-8")


@pytest.mark.parametrize("given", ["", ", data_dir='data'"])
@pytest.mark.parametrize(
    ("text", "command"),
    [
        (PYTEST, ("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py")),
        (UNITTEST, ("-m", "unittest", "test_it")),
    ],
    ids=["pytest", "unittest"],
)
def test_tests_of_an_application_leave_nothing(
    given: str, text: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    """No file, no thread and no line of output."""
    write(tmp_path, "shop.py", APP % given)
    write(tmp_path, "test_it.py", text)
    output = run(tmp_path, *command)
    assert "inapp-monitor" not in output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop.py", "test_it.py"]


def test_django_s_test_runner_leaves_nothing(tmp_path: Path) -> None:
    """Also where the application is made while a test runs."""
    write(
        tmp_path,
        "settings.py",
        """
        SECRET_KEY = "not a secret"
        INSTALLED_APPS = ["shop"]
        ROOT_URLCONF = "settings"
        urlpatterns = []
        """,
    )
    (tmp_path / "shop").mkdir()
    write(tmp_path / "shop", "__init__.py", "")
    write(
        tmp_path / "shop",
        "tests.py",
        """
        import io
        from django.core.wsgi import get_wsgi_application
        from django.test import SimpleTestCase
        from inapp_monitor import Monitor

        class Test(SimpleTestCase):
            def test_shop(self):
                app = Monitor(get_wsgi_application())
                environ = {"PATH_INFO": "/", "REQUEST_METHOD": "GET", "wsgi.input": io.BytesIO(),
                           "SERVER_NAME": "localhost", "SERVER_PORT": "80"}
                b"".join(app(environ, lambda *given: None))
        """,
    )
    output = run(tmp_path, "-m", "django", "test", "--settings", "settings")
    assert "inapp-monitor" not in output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["settings.py", "shop"]


@pytest.mark.parametrize("text", [PYTEST, UNITTEST], ids=["pytest", "unittest"])
def test_enabled_overrides_it(text: str, tmp_path: Path) -> None:
    """By a keyword as by the environment."""
    write(tmp_path, "shop.py", APP % ", enabled=True, data_dir='data'")
    write(tmp_path, "test_it.py", text.replace("active_count() == 1", "active_count() > 1"))
    module = "pytest" if text is PYTEST else "unittest"
    if text is UNITTEST:
        text = text.replace("active_count(), 1", "active_count(), 2")
        write(tmp_path, "test_it.py", text)
    run(tmp_path, "-m", module, "test_it.py" if text is PYTEST else "test_it")
    assert (tmp_path / "data").is_dir()


def test_a_test_that_gives_a_temporary_directory_wants_a_monitor(tmp_path: Path) -> None:
    """As these tests do; one that gives none, or another one, does not."""

    def app(environ: object, start_response: object) -> list[bytes]:
        return []

    assert Monitor(app, data_dir=tmp_path / "data").settings.enabled
    assert not Monitor(app).settings.enabled
    assert not Monitor(app, data_dir="/var/lib/shop/metrics").settings.enabled
    assert not Monitor(app, data_dir=tmp_path, enabled=False).settings.enabled
