"""The application's own packages are found from the application object of each framework."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inapp_monitor.monitor.app_packages import maker, packages_of

APPS = {
    "flask": "import flask\napp = flask.Flask(__name__)\n",
    "flask_method": "import flask\napp = flask.Flask(__name__).wsgi_app\n",
    "proxy_fix": (
        "import flask\nfrom werkzeug.middleware.proxy_fix import ProxyFix\n"
        "app = ProxyFix(flask.Flask(__name__).wsgi_app)\n"
    ),
    "pyramid": "from pyramid.config import Configurator\napp = Configurator().make_wsgi_app()\n",
    "bottle": "import bottle\napp = bottle.Bottle()\n@app.route('/')\ndef view(): pass\n",
    "falcon": (
        "import falcon\nclass Users:\n    def on_get(self, request, response): pass\n"
        "app = falcon.App()\napp.add_route('/api/users', Users())\n"
    ),
    "cherrypy": "import cherrypy\nclass Root: pass\napp = cherrypy.Application(Root(), '')\n",
    "function": "def app(environ, start_response): pass\n",
    "closure": (
        "def inner(environ, start_response): pass\ndef wrap(app):\n"
        "    def run(*given): return app(*given)\n    return run\napp = wrap(inner)\n"
    ),
}


@pytest.fixture(params=APPS)
def package(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A package `shop_...` with an application in its module `web`."""
    name = f"shop_{request.param}"
    folder = tmp_path / "site-packages" / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "web.py").write_text(APPS[request.param])
    monkeypatch.syspath_prepend(folder.parent)
    yield name
    for module in (name, f"{name}.web"):
        sys.modules.pop(module, None)


def test_the_package_of_the_application_is_found(package: str) -> None:
    """Not the framework's."""
    app = importlib.import_module(f"{package}.web").app
    assert packages_of(app, "gunicorn.app") == (package,)


def test_the_module_that_makes_the_monitor_counts() -> None:
    """With the package that it is in; scripts and libraries of Python are none."""
    assert maker() == __name__
    assert packages_of(object(), "tests.monitor.test_app_packages") == ("tests",)
    assert packages_of(object(), "__main__") == packages_of(object(), "json.decoder") == ()


class Hostile:
    """An application that fails at whatever it is asked."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


class Endless:
    """An application that says yes to everything."""

    def __getattr__(self, name: str) -> object:
        return self

    def __call__(self) -> None:
        pass


@pytest.mark.parametrize("make", [Hostile, Endless, object, int])
def test_odd_applications_are_no_problem(make: type) -> None:
    """Whatever they answer."""
    assert set(packages_of(make(), "")) <= {"tests"}
