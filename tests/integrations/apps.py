"""One small application for each framework, all with the same pages where the framework can.

Pages: `/users/7`, a POST to it that is refused, `/old` that redirects, `/boom` that fails,
`/stream`, `/static/hello.txt`, and `/missing` that nobody serves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

WSGIApp = Callable[..., Any]


class Boom(Exception):  # noqa: N818  # the bug of these applications
    """What `/boom` raises."""


def chunks() -> Iterator[bytes]:
    yield b"a"
    yield b"b"


def flask_app(static: Path) -> WSGIApp:
    from flask import Flask, Response, redirect

    app = Flask("shop", static_folder=str(static), static_url_path="/static")
    app.add_url_rule("/users/<int:id>", "user", lambda id: f"user {id}")
    app.add_url_rule("/old", "old", lambda: redirect("/users/1"))
    app.add_url_rule("/boom", "boom", boom)
    app.add_url_rule("/stream", "stream", lambda: Response(chunks()))
    return app.wsgi_app


def boom(*_: Any, **__: Any) -> Any:
    raise Boom("intermittent")


def django_app(static: Path) -> WSGIApp:
    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import FileResponse, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
    from django.urls import clear_url_caches, path, re_path
    from django.views.decorators.http import require_GET

    def file(request: Any, path: str) -> Any:
        return FileResponse((static / path).open("rb"))

    urls = type(sys)("tests_django_urls")
    urls.urlpatterns = [  # type: ignore[attr-defined]
        path("users/<int:id>", require_GET(lambda request, id: HttpResponse(f"user {id}"))),
        path("old", lambda request: HttpResponseRedirect("/users/1")),
        path("boom", boom),
        path("busy", lambda request: HttpResponse("busy", status=503)),
        re_path(r"^stream$", lambda request: StreamingHttpResponse(chunks())),
        path("static/<path:path>", file),
    ]
    sys.modules[urls.__name__] = urls
    clear_url_caches()  # Django keeps the URLs of the app that a test before has made
    if not settings.configured:
        settings.configure(
            ROOT_URLCONF=urls.__name__,
            ALLOWED_HOSTS=["*"],
            SECRET_KEY="only for tests",
            LOGGING_CONFIG=None,
        )
        django.setup(set_prefix=False)
    return WSGIHandler()


def pyramid_app(static: Path) -> WSGIApp:
    from pyramid.config import Configurator
    from pyramid.httpexceptions import HTTPFound
    from pyramid.response import Response

    with Configurator() as config:
        config.add_route("user", "/users/{id}", request_method="GET")
        config.add_view(lambda request: Response("user"), route_name="user")
        config.add_route("old", "old")
        config.add_view(lambda request: HTTPFound("/users/1"), route_name="old")
        config.add_route("boom", "/boom")
        config.add_view(boom, route_name="boom")
        config.add_route("stream", "/stream")
        config.add_view(lambda request: Response(app_iter=chunks()), route_name="stream")
        config.add_static_view("static", str(static))
        return config.make_wsgi_app()  # type: ignore[no-any-return]


def bottle_app(static: Path) -> WSGIApp:
    import bottle

    app = bottle.Bottle()
    app.route("/users/<id:int>", callback=lambda id: f"user {id}")
    app.route("/old", callback=lambda: bottle.redirect("/users/1"))
    app.route("/boom", callback=boom)
    app.route("/stream", callback=lambda: chunks())
    app.route("/static/<name:path>", callback=lambda name: bottle.static_file(name, str(static)))
    return app


def falcon_app(static: Path) -> WSGIApp:
    import falcon

    class User:
        def on_get(self, request: Any, response: Any, id: int) -> None:
            response.text = f"user {id}"

    class Old:
        def on_get(self, request: Any, response: Any) -> None:
            raise falcon.HTTPFound("/users/1")

    class Boomer:
        def on_get(self, request: Any, response: Any) -> None:
            boom()

    class Stream:
        def on_get(self, request: Any, response: Any) -> None:
            response.stream = chunks()

    app = falcon.App()
    app.add_route("/users/{id:int}", User())
    app.add_route("/old", Old())
    app.add_route("/boom", Boomer())
    app.add_route("/stream", Stream())
    app.add_static_route("/static", str(static))
    return app


def cherrypy_app(static: Path) -> WSGIApp:
    import cherrypy

    class Root:
        @cherrypy.expose
        @cherrypy.tools.allow(methods=["GET"])
        def users(self, id: str) -> str:
            return f"user {id}"

        @cherrypy.expose
        def old(self) -> None:
            raise cherrypy.HTTPRedirect("/users/1")

        @cherrypy.expose
        def boom(self) -> None:
            boom()

        @cherrypy.expose
        def stream(self) -> Iterator[bytes]:
            return chunks()

        stream._cp_config = {"response.stream": True}  # type: ignore[attr-defined]

    cherrypy.config.update({"log.screen": False, "environment": "embedded"})
    static_files = {"tools.staticdir.on": True, "tools.staticdir.dir": str(static)}
    return cherrypy.Application(Root(), "", {"/static": static_files})  # type: ignore[no-any-return]


def werkzeug_map() -> Any:
    from werkzeug.routing import Map, Rule

    return Map(
        [
            Rule("/users/<int:id>", endpoint="user", methods=["GET"]),
            Rule("/old", endpoint="old"),
            Rule("/boom", endpoint="boom"),
            Rule("/stream", endpoint="stream"),
            Rule("/static/<path:name>", endpoint="static"),
        ]
    )


def werkzeug_app(static: Path) -> WSGIApp:
    from werkzeug import Request, Response
    from werkzeug.exceptions import HTTPException
    from werkzeug.utils import redirect, send_file

    views: dict[str, Callable[..., Any]] = {
        "user": lambda request, id: Response(f"user {id}"),
        "old": lambda request: redirect("/users/1"),
        "boom": boom,
        "stream": lambda request: Response(chunks()),
        "static": lambda request, name: send_file(static / name, request.environ),
    }
    url_map = werkzeug_map()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        try:
            endpoint, arguments = url_map.bind_to_environ(environ).match()
            response = views[endpoint](request, **arguments)
        except HTTPException as answer:
            response = answer
        return response(environ, start_response)

    return app


def plain_app(static: Path) -> WSGIApp:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        if path == "/users/7":
            allowed = environ["REQUEST_METHOD"] == "GET"
            start_response("200 OK" if allowed else "405 Method Not Allowed", [])
            return [b"user 7"]
        if path == "/old":
            start_response("302 Found", [("Location", "/users/1")])
            return [b""]
        if path == "/boom":
            boom()
        if path == "/stream":
            start_response("200 OK", [])
            return chunks()
        if path == "/static/hello.txt":
            start_response("200 OK", [])
            return environ["wsgi.file_wrapper"]((static / "hello.txt").open("rb"))
        start_response("404 Not Found", [])
        return [b"nothing here"]

    return app


#: What users give as `route=` for a plain application.
PLAIN_TEMPLATES = ["/users/<id>", "/old", "/boom", "/stream", "/static/<path:name>"]
