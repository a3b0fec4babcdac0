"""What is special about each framework: mounts, classes, sinks, traversal, own handlers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.ground.guard import Guard
from inapp_monitor.integrations import frameworks
from inapp_monitor.request.exchange import Exchange
from tests.request.battery import monitored, serve

from . import apps
from .conftest import Watched, environ_for


def test_flask_blueprints_and_class_views() -> None:
    """Nested blueprints, method views and slash redirects."""
    from flask import Blueprint, Flask
    from flask.views import MethodView

    class Item(MethodView):
        def get(self, id: int) -> str:
            return "item"

    inner, outer = Blueprint("inner", __name__), Blueprint("outer", __name__)
    inner.add_url_rule("/items/<int:id>", view_func=Item.as_view("item"))
    inner.add_url_rule("/folder/", "folder", lambda: "folder")
    outer.register_blueprint(inner, url_prefix="/inner")
    app = Flask(__name__)
    app.register_blueprint(outer, url_prefix="/outer")
    watched = Watched(app.wsgi_app)
    assert watched.get("/outer/inner/items/3").route == "/outer/inner/items/<int:id>"
    assert watched.get("/outer/inner/items/3", "POST").route == "(method not allowed)"
    assert watched.get("/outer/inner/folder").route == "(redirect)"


def test_flask_abort_keeps_the_template() -> None:
    """A 404 that a view decides on belongs to the view's route."""
    from flask import Flask, abort

    app = Flask(__name__)
    app.add_url_rule("/users/<int:id>", "user", lambda id: abort(404))
    noted = Watched(app.wsgi_app).get("/users/7")
    assert (noted.route, noted.errors) == ("/users/<int:id>", [])


def test_flask_error_page_around_it_keeps_the_template() -> None:
    """A layer that answers an error while streaming does so after Flask forgot the request."""
    from flask import Flask

    def failing() -> Iterator[bytes]:
        yield b"a"
        raise ValueError("x")

    app = Flask(__name__)
    app.add_url_rule("/users/<int:id>", "user", lambda id: app.response_class(failing()))
    flask = app.wsgi_app

    def with_error_page(environ: Any, start_response: Any) -> Iterator[bytes]:
        try:
            yield from flask(environ, start_response)
        except ValueError:
            start_response("500 Oops", [], sys.exc_info())
            yield b"sorry"

    app.wsgi_app = with_error_page  # type: ignore[method-assign]
    noted = Watched(app).get("/users/7")
    assert (noted.route, noted.status) == ("/users/<int:id>", "500 Oops")


def test_flask_extensions_announce_answers() -> None:
    """What an extension announces by Flask's signal is an error if the answer is 5xx, or if it
    escapes; an HTTP exception and what a handler answers are answers."""
    from flask import Flask, got_request_exception
    from werkzeug.exceptions import HTTPException, NotFound

    class Api(Flask):
        def handle_user_exception(self, error: Exception) -> Any:
            got_request_exception.send(self, exception=error)
            if isinstance(error, RuntimeError):
                raise error
            code = error.code if isinstance(error, HTTPException) else 400
            return {"error": "x"}, 503 if isinstance(error, OSError) else code or 500

    raised: list[Exception] = []

    def view() -> str:
        raise raised[0]

    app = Api(__name__)
    app.add_url_rule("/", "view", view)
    watched = Watched(app.wsgi_app)
    errors = [NotFound(), ValueError("not valid"), OSError("down"), RuntimeError("boom")]
    for error, status in zip(errors, (404, 400, 503, 500), strict=True):
        raised[:] = [error]
        noted = watched.get("/")
        assert noted.status is not None
        assert noted.status.startswith(str(status))
        assert noted.errors == ([error] if status >= 500 else [])


@pytest.mark.parametrize("make", [apps.flask_app, apps.bottle_app])
def test_a_layer_that_hands_on_a_copy(make: Any, static: Path) -> None:
    """The name is known though environ is not the one that the monitor has seen."""
    app = make(static)
    name = Watched(app).get("/users/7").route
    copied = Watched(lambda environ, start: app(dict(environ), start))
    assert copied.get("/users/7").route == name
    below = DispatcherMiddleware(lambda *_: [], {"/sub": app})
    copied = Watched(lambda environ, start: below(dict(environ), start))
    assert copied.get("/sub/users/7").route == f"/sub{name}"
    assert copied.get("/sub/nowhere").route == "(not found)"


def test_flask_websockets_that_answer_past_the_server() -> None:
    """A view that takes over the socket and answers nothing has its rule, also below a prefix."""
    from flask import Flask, Response

    class TakenOver(Response):
        def __call__(self, environ: Any, start_response: Any) -> Any:
            return []

    app = Flask(__name__)
    app.add_url_rule("/ws/<int:room>", "chat", lambda room: TakenOver(), websocket=True)
    upgrade = {"HTTP_UPGRADE": "websocket", "HTTP_CONNECTION": "Upgrade"}
    assert Watched(app.wsgi_app).get("/ws/5", **upgrade).route == "/ws/<int:room>"
    assert Watched(app.wsgi_app).get("/ws/5/x", **upgrade).route == "(not found)"
    below = Watched(DispatcherMiddleware(lambda *_: [], {"/sub": app}))
    assert below.get("/sub/ws/5", **upgrade).route == "/sub/ws/<int:room>"


def test_paths_beyond_ascii() -> None:
    """WSGI passes paths as latin-1; names are as people write them."""
    from flask import Flask

    def wsgi(path: str) -> str:
        return path.encode().decode("latin-1")

    inner = Flask("inner")
    inner.add_url_rule("/straße/<id>", "user", lambda id: "x")
    below = DispatcherMiddleware(lambda *_: [], {wsgi("/größe"): inner})
    assert Watched(below).get(wsgi("/größe/straße/1")).route == "/größe/straße/<id>"
    plain = Watched(apps.plain_app(Path()), ["/café/<id>", "/<a>/<b>"])
    assert plain.get(wsgi("/café/1")).route == "/café/<id>"
    assert plain.get("/cafe/1").route == "/<a>/<b>"


def test_flask_exit_keeps_the_template() -> None:
    """What ends the worker, such as a server's timeout, escapes after Flask forgot the request."""
    from flask import Flask

    app = Flask(__name__)

    @app.route("/slow/<int:id>")
    def slow(id: int) -> str:
        raise SystemExit(1)

    noted = Watched(app.wsgi_app).get("/slow/7")
    assert noted.route == "/slow/<int:id>"
    assert [type(error) for error in noted.errors] == [SystemExit]


def test_flask_error_handler_of_ones_own() -> None:
    """An exception that the application itself answers is no failure; its 500 page is."""
    from flask import Flask

    app = Flask(__name__)
    app.add_url_rule("/handled", "handled", lambda: {}["missing"])
    app.add_url_rule("/boom", "boom", apps.boom)
    app.register_error_handler(KeyError, lambda error: ("handled", 400))
    app.register_error_handler(500, lambda error: ("sorry", 500))
    watched = Watched(app.wsgi_app)
    assert (watched.get("/handled").errors, watched.get("/handled").route) == ([], "/handled")
    noted = watched.get("/boom")
    assert (len(noted.errors), noted.answer.content) == (1, b"sorry")


def test_flask_that_lets_exceptions_escape() -> None:
    """In testing mode the exception leaves Flask without a response; the route is known."""
    from flask import Flask

    app = Flask(__name__)
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.add_url_rule("/boom", "boom", apps.boom)
    noted = Watched(app.wsgi_app).get("/boom")
    assert (noted.route, len(noted.errors)) == ("/boom", 1)
    assert isinstance(noted.answer.error, apps.Boom)


@pytest.mark.parametrize(
    ("framework", "name"),
    [
        ("flask", "/sub/users/<int:id>"),
        ("django", "/sub/users/<int:id>"),
        ("pyramid", "/sub/users/{id}"),
        ("bottle", "/sub/users/<id:int>"),
        ("falcon", "/sub/users/{id:int}"),
    ],
)
def test_mounted_below_a_prefix(framework: str, name: str, static: Path) -> None:
    """The template of a mounted application comes with the mount."""
    app = getattr(apps, f"{framework}_app")(static)
    inside = Watched(app)
    outside = monitored(DispatcherMiddleware(apps.plain_app(static), {"/sub": app}), inside.witness)
    assert inside.get("/sub/users/7", app=outside).route == name


def bound_exchange() -> Exchange:
    """The exchange of a request that nobody answers yet."""
    exchange: Exchange = type("Bound", (Exchange,), {"__slots__": ()})()
    exchange.environ, exchange.path, exchange.route = {}, "", None
    return exchange


def test_django_include_and_regex() -> None:
    """Anchors of regex routes are not shown; included routes come whole."""
    from inapp_monitor.integrations.django import template_of_match

    exchange = bound_exchange()

    def name(route: str) -> str | None:
        return template_of_match(exchange, type("Match", (), {"route": route}))

    assert name("api/^users/(?P<id>[^/]+)/$") == "/api/users/(?P<id>[^/]+)/"
    assert name("") == "/"
    assert template_of_match(exchange, None) is None


def test_django_below_another_layer(static: Path) -> None:
    """Where the monitor does not see Django's handler, our Django middleware notes the route."""
    from inapp_monitor.integrations.django import middleware

    app = apps.django_app(static)
    app._middleware_chain = middleware(app._middleware_chain)  # as settings.MIDDLEWARE does

    def layer(environ: Any, start_response: Any) -> Any:
        return list(app(environ, start_response))

    noted = Watched(layer).get("/users/7")
    assert noted.route == "/users/<int:id>"


def test_django_by_its_response(static: Path) -> None:
    """Without either, the response that reaches the server shows the route."""
    app = apps.django_app(static)
    noted = Watched(lambda environ, start_response: app(environ, start_response)).get("/users/7")
    assert noted.route == "/users/<int:id>"


@pytest.mark.filterwarnings("ignore:.*Prefix must end:DeprecationWarning")
def test_bottle_mounts() -> None:
    """Mounted Bottle applications: only by its old way does Bottle hide the prefix."""
    import bottle

    root, sub, other = bottle.Bottle(), bottle.Bottle(), bottle.Bottle()
    sub.route("/z/<id>", callback=lambda id: id)
    other.route("/z/<id>", callback=lambda id: id)
    root.mount("/sub/", sub)
    root.mount("/other", other)
    watched = Watched(root)
    assert watched.get("/sub/z/5").route == "/sub/z/<id>"
    assert watched.get("/other/z/5").route == "/z/<id>"


def test_bottle_that_another_library_loads() -> None:
    """In a thread in which Bottle has answered nothing, it has no request; nothing fails."""
    import bottle

    assert bottle.request is not None

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b"plain"]

    watched, found = Watched(app), []
    thread = threading.Thread(target=lambda: found.append(watched.get("/plain").answer.content))
    thread.start()
    thread.join()
    assert found == [b"plain"]


def test_falcon_sinks_and_handlers() -> None:
    """A sink is named by its prefix; a handler for Exception of one's own keeps answering."""
    import falcon

    def sink(request: Any, response: Any) -> None:
        response.text = "sunk"

    def handler(request: Any, response: Any, error: Exception, params: Any) -> None:
        response.status = 503
        response.text = "mine"

    class Boomer:
        def on_get(self, request: Any, response: Any) -> None:
            apps.boom()

    app = falcon.App()
    app.add_sink(sink, "/proxy")
    app.add_route("/boom", Boomer())
    app.add_error_handler(Exception, handler)
    watched = Watched(app)
    noted = watched.get("/proxy/anything/at/all")
    assert (noted.route, noted.answer.content) == ("/proxy/*", b"sunk")
    noted = watched.get("/boom")
    assert (noted.answer.content, len(noted.errors)) == (b"mine", 1)
    assert str(noted.answer.status).startswith("503")


def test_falcon_installs_once() -> None:
    """However often it is refreshed, one component and one handler."""
    import falcon

    app = falcon.App()
    connected = frameworks.connect(app, Guard())
    handler = app._error_handlers[Exception]
    middleware = app._middleware
    for _ in range(3):
        connected.refresh(app)
    assert app._error_handlers[Exception] is handler
    assert app._middleware == middleware


def traversal_app() -> Any:
    from pyramid.config import Configurator
    from pyramid.response import Response

    class Root(dict[str, Any]):
        pass

    with Configurator(root_factory=lambda request: Root(a=Root())) as config:
        config.add_view(lambda request: Response("view"), name="edit", context=Root)
        config.add_view(lambda request: Response("default"), context=Root)
        config.add_notfound_view(lambda request: Response("lost", status=404))
        return config.make_wsgi_app()


def test_pyramid_traversal() -> None:
    """Traversal is named by context and view; a view's name that nobody made is not found."""
    watched = Watched(traversal_app())
    prefix = "<traversal traversal_app.<locals>.Root>"
    assert watched.get("/a/edit").route == f"{prefix}/edit"
    assert watched.get("/").route == f"{prefix}/"
    assert watched.get("/a/invented-by-a-scanner").route == "(not found)"


def test_pyramid_exception_view() -> None:
    """An exception that a view of one's own answers 5xx is captured; one that it answers otherwise,
    and an HTTP exception, are not."""
    from pyramid.config import Configurator
    from pyramid.httpexceptions import HTTPBadRequest
    from pyramid.response import Response

    def refuse(request: Any) -> Any:
        raise HTTPBadRequest

    with Configurator() as config:
        config.add_route("boom", "/boom")
        config.add_view(apps.boom, route_name="boom")
        config.add_route("bad", "/bad")
        config.add_view(refuse, route_name="bad")
        config.add_exception_view(
            lambda error, request: Response("sorry", status=500), context=apps.Boom
        )
        config.add_route("wrong", "/wrong")
        config.add_view(lambda request: int("x"), route_name="wrong")
        config.add_exception_view(
            lambda error, request: Response("no number", status=400), context=ValueError
        )
        watched = Watched(config.make_wsgi_app())
    noted = watched.get("/boom")
    assert (noted.answer.content, len(noted.errors)) == (b"sorry", 1)
    assert watched.get("/bad").errors == []
    wrong = watched.get("/wrong")
    assert (wrong.answer.content, wrong.errors) == (b"no number", [])


def test_pyramid_and_cherrypy_install_once(static: Path) -> None:
    """However often they are refreshed, one subscriber and one hook."""
    from pyramid.interfaces import INewResponse

    app = apps.pyramid_app(static)
    connected = frameworks.connect(app, Guard())

    def subscribers() -> int:
        return sum(1 for h in app.registry.registeredHandlers() if INewResponse in h.required)

    before = subscribers()
    connected.refresh(app)
    assert subscribers() == before
    cherry = apps.cherrypy_app(static)
    connected = frameworks.connect(cherry, Guard())
    config = repr(cherry.config)
    connected.refresh(cherry)
    assert repr(cherry.config) == config


def test_cherrypy_tree_and_hooks_of_ones_own(static: Path) -> None:
    """A tree has the hook in all its applications, beside theirs."""
    import cherrypy

    called = []

    class Root:
        @cherrypy.expose
        def boom(self) -> None:
            apps.boom()

    tree = cherrypy._cptree.Tree()
    hook = {"/": {"hooks.before_error_response": lambda: called.append(1)}}
    tree.mount(Root(), "/shop", hook)
    noted = Watched(tree).get("/shop/boom")
    assert (noted.route, len(noted.errors), called) == ("/shop/boom", 1, [1])


def test_cherrypy_tools_around_the_handler() -> None:
    """A tool that puts its own handler around the page's leaves the request its name."""
    import cherrypy

    class Root:
        @cherrypy.expose
        @cherrypy.tools.json_out()
        def users(self, id: str) -> dict[str, str]:
            return {"id": id}

    watched = Watched(cherrypy.Application(Root(), ""))
    noted = watched.get("/users/7")
    assert (noted.route, noted.answer.content) == ("/users/*", b'{"id": "7"}')


def test_cherrypy_internal_redirects() -> None:
    """A request that a page hands on is named by the page that answers."""
    import cherrypy

    class Root:
        @cherrypy.expose
        def old(self) -> None:
            raise cherrypy.InternalRedirect("/new")

        @cherrypy.expose
        def new(self) -> str:
            return "new"

    assert Watched(cherrypy.Application(Root(), "")).get("/old").route == "/new"


@pytest.mark.parametrize(
    "framework", ["flask", "django", "pyramid", "bottle", "falcon", "cherrypy"]
)
def test_the_name_is_known_while_the_view_runs(framework: str, static: Path) -> None:
    """A request that hangs, or kills its worker, is reported with its route."""
    from inapp_monitor.request.live import row_of

    names: list[object] = []
    app = getattr(apps, f"{framework}_app")(static)
    watched = Watched(app)

    def look(*_: Any) -> None:
        (row,) = [row_of(exchange, 0.0) for exchange in watched.witness.live]
        names.append(row and row["route"])

    sys.setprofile(lambda frame, event, _: _at_boom(frame, event, look))
    try:
        watched.get("/boom")
    finally:
        sys.setprofile(None)
    assert names == ["/boom"]


def _at_boom(frame: Any, event: str, look: Any) -> None:
    if event == "call" and frame.f_code is apps.boom.__code__:
        look()


def test_django_below_another_layer_while_the_view_runs(static: Path) -> None:
    """Our Django middleware notes the route before the view is called."""
    from inapp_monitor.ground.current_request import ENVIRON_KEY
    from inapp_monitor.integrations.django import middleware

    exchange = bound_exchange()
    request = SimpleNamespace(
        environ={ENVIRON_KEY: exchange}, resolver_match=SimpleNamespace(route="users/<int:id>")
    )
    noting: Any = middleware(lambda request: None)
    assert noting.process_view(request, None, (), {}) is None
    assert exchange.route == "/users/<int:id>"


@pytest.mark.parametrize(
    "framework", ["flask", "django", "pyramid", "bottle", "falcon", "cherrypy"]
)
def test_names_of_ones_own_go_first(framework: str, static: Path) -> None:
    """What `route=` says of a request holds, also of one that fails; else the framework's name."""

    def name(environ: Any) -> str | None:
        return None if environ["PATH_INFO"] == "/users/7" else "mine"

    app = getattr(apps, f"{framework}_app")(static)
    theirs = Watched(app).get("/users/7").route
    watched = Watched(app, route=name)
    assert watched.get("/users/7").route == theirs
    assert watched.get("/users/8").route == "mine"
    noted = watched.get("/boom")
    assert (noted.route, len(noted.errors)) == ("mine", 1)


@pytest.mark.parametrize(
    "framework", ["flask", "django", "pyramid", "bottle", "falcon", "cherrypy"]
)
def test_threads_do_not_mix_names(framework: str, static: Path) -> None:
    """Requests at the same time keep their own routes."""
    watched = Watched(getattr(apps, f"{framework}_app")(static))
    expected = {path: watched.get(path).route for path in ("/users/7", "/old", "/stream")}
    watched.witness.recorded.clear()

    def visit(path: str) -> None:
        for _ in range(20):
            serve(watched.app, environ_for(path))

    threads = [threading.Thread(target=visit, args=(path,)) for path in expected for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = [finished[1] for finished in watched.witness.finished]
    assert sorted(seen) == sorted(list(expected.values()) * 40)


def test_route_callable_and_templates() -> None:
    """`route=` is a callable that gets the environ, or templates for paths."""
    plain = apps.plain_app(Path())
    assert Watched(plain, lambda environ: "named").get("/users/7").route == "named"
    assert Watched(plain, lambda environ: None).get("/users/7").route == "(unrouted)"
    watched = Watched(plain, ["/users/<id>", "/<path:rest>"])
    assert watched.get("/users/7").route == "/users/<id>"
    assert watched.get("/users/7/x").route == "/<path:rest>"


@pytest.mark.parametrize("route", [["users"], ["/a/<b"], ["/<a b>"], [7], 7], ids=repr)
def test_bad_templates_are_refused(route: Any) -> None:
    """What is no template raises where it is written, not in a request."""
    with pytest.raises(ConfigError, match="route"):
        frameworks.asker(route)


def test_an_integration_may_be_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A framework without its file is simply not connected; a broken one is a fault."""
    monkeypatch.setattr(frameworks, "FRAMEWORKS", {"flask": "deleted", "django": "broken"})
    guard = Guard()
    monkeypatch.setitem(
        __import__("sys").modules,
        "inapp_monitor.integrations.broken",
        Broken(),  # type: ignore[arg-type]
    )
    assert frameworks.connect(object(), guard).route_askers == []
    assert list(guard.faults) == ["django integration"]


class Broken:
    """Stands for the file of a framework of another shape."""

    def install(self, app: object) -> None:
        raise ImportError("no such signal")
