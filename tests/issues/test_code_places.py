"""Whose code it is: installed applications, libraries, and what either of them generates."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from inapp_monitor.issues.code_places import CodePlaces

from .conftest import Monitor, caught

LIBRARY = """
import dataclasses

@dataclasses.dataclass
class Range:
    low: int
    high: int
    def __post_init__(self):
        if self.low > self.high:
            raise ValueError("range")

exec("def generated(key): return {}[key]", globals())
"""


def test_packages_of_the_application_are_in_app_wherever_they_are() -> None:
    """Installed or not; the setting that excludes comes first."""
    places = CodePlaces(exclude=["shop.vendor"], packages=["shop"])
    installed = "/venv/lib/python3.11/site-packages/shop/views.py"
    assert places.in_app(installed, "shop.views")
    assert not places.in_app(installed, "shop.vendor.json")
    assert not places.in_app("/usr/lib/python3/dist-packages/shopping/a.py", "shopping.a")


def test_a_folder_that_only_contains_the_name_is_no_library() -> None:
    """`site-packages` is a folder, not a text."""
    assert CodePlaces().in_app("/srv/my-site-packages-demo/app.py", "app")


def test_what_a_library_generates_is_the_librarys(
    monitor: Monitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its generated functions have no file; the culprit is the application's function."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "generating_library.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(folder)
    import generating_library  # type: ignore[import-not-found]

    def price() -> None:
        generating_library.Range(2, 1)

    def stock() -> None:
        generating_library.generated("x")

    for function in (price, stock):
        monitor.tracker.capture(caught(function))
    culprits = {issue.culprit.rpartition(".")[2] for issue in monitor.tracker.list_issues()}
    assert culprits == {"price", "stock"}
    del sys.modules["generating_library"]


@dataclass
class Amount:
    """Of the application."""

    cents: int

    def __post_init__(self) -> None:
        if self.cents < 0:
            raise ValueError("negative")


def test_the_methods_of_a_dataclass_are_nobodys(monitor: Monitor) -> None:
    """Two functions that make the same wrong object are two failures."""

    def refund() -> None:
        Amount(-1)

    def charge() -> None:
        Amount(-1)

    for function in (refund, charge):
        monitor.tracker.capture(caught(function))
    assert len(monitor.tracker.list_issues()) == 2


def test_what_the_application_executes_is_its_own() -> None:
    """Rules and formulas under a name of their own."""
    places = CodePlaces()
    assert places.in_app("<rule 7>", "rules", "apply")
    assert not places.in_app("<string>", "", "apply")
    assert not places.in_app("<string>", "namedtuple_Point", "__new__")
    assert not places.in_app("<frozen importlib._bootstrap>", "importlib._bootstrap", "load")


APP = """
import json, sys
from inapp_monitor import Monitor
import PACKAGE.web
monitor = Monitor(PACKAGE.web.APP, data_dir=sys.argv[1], flush_interval_s=30)
environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_NAME": "x", "SERVER_PORT": "1",
    "wsgi.url_scheme": "http"}
for path in ("/price", "/stock"):
    try:
        monitor({**environ, "PATH_INFO": path}, lambda *_: None)
    except ValueError:
        pass
print(sorted(issue.culprit for issue in monitor.tracker.list_issues()))
monitor.close()
"""
WEB = """
import json
def price(): json.loads("no")
def stock(): json.loads("{")
def app(environ, start_response):
    {"/price": price, "/stock": stock}[environ["PATH_INFO"]]()
class Middleware:
    def __init__(self, app): self.app = app
    def __call__(self, *given): return self.app(*given)
def decorated(app):
    def run(*given): return app(*given)
    return run
"""


@pytest.mark.parametrize("wrapped", ["app", "Middleware(PACKAGE.web.app)"])
@pytest.mark.parametrize("folder", ["site-packages", "dist-packages"])
def test_an_installed_application_is_found(tmp_path: Path, folder: str, wrapped: str) -> None:
    """By what is wrapped, through the middleware around it."""
    package = tmp_path / folder / "installed_shop"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "web.py").write_text(WEB)
    code = APP.replace("PACKAGE.web.APP", f"PACKAGE.web.{wrapped}")
    code = code.replace("PACKAGE", "installed_shop")
    answer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "data")],
        env={"PYTHONPATH": f"{package.parent}:{Path(__file__).parents[2]}", "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert answer.stdout.strip() == "['installed_shop.web.price', 'installed_shop.web.stock']"
