"""The WSGI app below the mount: access, the URL map, errors, headers. It knows no page's contents.

Every answer leaves through `_finish`, which adds the security headers; each of its failures ends
here, as a page that helps, and is noted with the guard.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import BaseConverter, Map, RequestRedirect, Rule
from werkzeug.wrappers import Response

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.web import portions, prometheus, static
from inapp_monitor.web.access import auth, development, login_token, origin
from inapp_monitor.web.access.shared_state import SharedState
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.frame.links import address, below_mount
from inapp_monitor.web.frame.places import Places
from inapp_monitor.web.frame.request import MonitorRequest
from inapp_monitor.web.frame.routing import Route
from inapp_monitor.web.frame.session_cookie import cookie_scope
from inapp_monitor.web.graphite import events, functions, metrics, render, tags, version
from inapp_monitor.web.ingest import admission
from inapp_monitor.web.pages import (
    acknowledge,
    alert_rule,
    alerts,
    clear_data,
    dashboards,
    edit_alert,
    errors,
    explore,
    failure,
    health,
    incident,
    login,
    logs,
    not_found,
    now,
    overview,
    routes,
    runtime,
    sdks,
    search,
    sources,
    statements,
    status,
    traces,
)
from inapp_monitor.web.sentry import ingest

#: Requests to the dashboard worked on at once in a process: the app's own visitors come first.
AT_ONCE = 4
#: Seconds after which a client that found no place may ask again; a browser does so by itself.
RETRY_AFTER_S = 2
#: Seconds after which a token that could not be written is tried again.
TOKEN_AGAIN_S = 10.0

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
#: A chart opened by itself carries its own style and may do nothing else.
SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}
_NOT_MEANT = "this action must come from a page of this dashboard; load it again"

StartResponse = Callable[..., Any]


class NameConverter(BaseConverter):
    """One node of a path without a dot: what is left may be `.json`."""

    regex = r"[A-Za-z0-9_~:%@+=-]{1,200}"


class WebApp:
    """The dashboard as a WSGI app: SCRIPT_NAME ends with the mount, PATH_INFO is below it.

    Args:
        backend: Where all data comes from.
        authorizer: Called with the environ; when given, it alone decides who may see anything.
        further: Further routes; the first one for a URL wins, so they can replace pages.

    *Threads:* one instance serves all threads of a process.
    """

    def __init__(
        self,
        backend: Backend,
        authorizer: auth.Authorizer | None = None,
        further: Sequence[Route] = (),
    ) -> None:
        self._backend = backend
        settings = backend.loaded.settings
        self._token = self._find_token() if authorizer is None else None
        self._token_asked = backend.clock.perf()
        if self._token is None:
            secret = login_token.form_key(settings, backend.guard, may_write=backend.live)
            earlier = ""
        else:
            secret, earlier = self._token.value, self._token.earlier
        shared = SharedState(settings.data_dir, backend.guard, may_write=backend.live)
        self.gate = auth.Gate(settings, backend.clock, secret, authorizer, shared)
        self.gate.use_token(secret, earlier)
        self._routes = [*further, *health.routes(settings), *collect_routes()]
        self._map = Map(
            [
                Rule(route.rule, endpoint=number, methods=route.methods)
                for number, route in enumerate(self._routes)
            ],
            converters={"name": NameConverter},
            strict_slashes=False,
            merge_slashes=False,
            redirect_defaults=False,
        )
        self._doors = tuple(
            {
                route.rule.partition("<")[0].rstrip("/")
                for route in self._routes
                if route.admits_itself
            }
        )
        self._places: dict[int, Places] = {}

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        try:
            self._settle_token(environ)
            request = MonitorRequest(environ)
            try:
                response = self._answer(request)
            except HTTPException as error:  # a body that ends too soon, or cannot be read
                response = self._failure(request, error.code or 400, error.description or "")
            return self._finish(response)(environ, start_response)
        except Exception as error:  # noqa: BLE001  # nothing of the monitor may reach the app's server
            self._backend.guard.failed("web", error)
            body = b"the dashboard failed; its status page and the app's log say why\n"
            headers = [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Content-Length", str(len(body))),
                ("Content-Security-Policy", PAGE_POLICY),
                *_HEADERS.items(),
            ]
            start_response("500 Internal Server Error", headers)
            return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]

    def _find_token(self) -> login_token.LoginToken:
        """The token; who only shows another process's directory writes nothing into it."""
        backend = self._backend
        return login_token.obtain(backend.loaded.settings, backend.guard, may_write=backend.live)

    def _settle_token(self, environ: dict[str, Any]) -> None:
        """Follow the token's file, and tell people of a new one.

        What the disk refused is written once it takes it; a file that was replaced or removed
        makes all workers take the new token, which ends the sessions of the old one.
        """
        backend, token = self._backend, self._token
        if token is None:
            return
        now = backend.clock.perf()
        if token.source != "setting" and now - self._token_asked >= TOKEN_AGAIN_S:
            self._token_asked = now
            found = self._find_token()
            # A file that cannot be read for a while must not lock anybody out.
            if found.source == "file" or token.source == "memory":
                self._token = token = found
                self.gate.use_token(token.value, token.earlier)
        at_each_start = backend.live and development.shows_link_at_start(environ)
        if token.newly_made or at_each_start:
            self._token = token._replace(newly_made=False)
            mount = backend.loaded.settings.mount if backend.live else ""
            url = login_token.root_url(environ, mount)
            login_token.announce(token, url, at_each_start=at_each_start)

    def _answer(self, request: MonitorRequest) -> Response:
        door = self._door(request)
        problem = request.problem(reads_body=door is None and not request.is_ingest)
        if problem is not None:
            return self._failure(request, *problem)
        if not origin.is_host_allowed(request.environ, self._backend.loaded.settings.allowed_hosts):
            return self._failure(request, 421, "the dashboard does not answer to this host name")
        if door is not None:
            return self._handle(request, *door)
        if request.is_ingest:
            return admission.answer(self.gate, self._backend, request, self._refuse)
        asset = static.answer(request)
        if asset is not None:
            return asset
        refused = self._admit(request)
        if refused is not None:
            return refused
        if not request.environ.get("PATH_INFO"):
            return self._redirect(request, "/")
        # By process: the parent's threads that hold places are not in a forked child.
        places = self._places.get(os.getpid())
        if places is None:
            made = Places(self._backend.clock, AT_ONCE)
            places = self._places.setdefault(os.getpid(), made)
        if not places.acquire():
            return self._busy(request)
        try:
            return self._dispatch(request)
        finally:
            places.release()

    def _door(self, request: MonitorRequest) -> tuple[Route, dict[str, Any]] | None:
        """The route that decides itself who may call it, if the request is for one."""
        if not request.path.startswith(self._doors):
            return None
        adapter = self._map.bind("localhost", path_info=request.path, default_method=request.method)
        try:
            number, parameters = adapter.match()
        except HTTPException:
            return None
        route = self._routes[number]
        return (route, dict(parameters)) if route.admits_itself else None

    def _busy(self, request: MonitorRequest) -> Response:
        busy = self._failure(request, 503, "the dashboard is busy, try again in a moment")
        busy.headers["Retry-After"] = str(RETRY_AFTER_S)
        if request.method in ("GET", "HEAD") and request.wants_html:
            busy.headers["Refresh"] = str(RETRY_AFTER_S)
        return busy

    def _admit(self, request: MonitorRequest) -> Response | None:
        """Let the request in (None), or answer it: a login, a login page, a refusal."""
        try:
            request.access = self.gate.check(request.environ)
        except Exception as error:  # noqa: BLE001  # an authorizer that fails lets nobody in
            self._backend.guard.failed("authorizer", error)
            return self._failure(request, 403, "the authorizer of this dashboard failed")
        given = request.args.getlist("token")
        if given and request.method in ("GET", "HEAD") and self.gate.judges_tokens:
            return self._swap_token(request, given)
        if request.path == "/login":
            return self._log_in(request)
        if not request.access.allowed:
            return self._refuse(request, request.access)
        if request.path == "/logout":
            return self._log_out(request)
        request.csrf = self.gate.csrf_token(request.access)
        return None

    def _swap_token(self, request: MonitorRequest, given: list[str]) -> Response:
        """A login link: the token leaves the address and becomes a cookie."""
        access = self.gate.login(request.environ, given[0] if len(given) == 1 else "")
        kept = [(name, value) for name, value in request.args.items(multi=True) if name != "token"]
        answer = self._redirect(request, below_mount(request.path), kept)
        if access.allowed:
            return self._with_session(request, answer, access)
        # Who is in stays in, whatever a link has added to the address.
        return answer if request.access.allowed else self._refuse(request, access)

    def _log_in(self, request: MonitorRequest) -> Response:
        """The login form (GET) and what it sends (POST)."""
        wanted = below_mount(request.args.get("next", "/"))
        if request.method in ("GET", "HEAD"):
            return login.page(self._backend, request, 200, wanted)
        if request.method != "POST":
            return self._failure(request, 405, "the login form is sent with POST")
        if not origin.is_same_origin(request.environ):
            return self._failure(request, 403, "the login form must be sent from this site")
        access = self.gate.login(request.environ, request.form.get("token", "").strip())
        if not access.allowed:
            return self._refuse(request, access, wanted)
        path, _, query = wanted.partition("?")
        return self._with_session(request, self._redirect(request, path, parse_qsl(query)), access)

    def _log_out(self, request: MonitorRequest) -> Response:
        """End the session and take its cookie away; a read-only dashboard can be left as well."""
        if request.method != "POST":
            response = self._failure(request, 405, "the logout form is sent with POST")
            response.headers["Allow"] = "POST"
            return response
        if not self._is_meant(request):
            return self._failure(request, 403, _NOT_MEANT)
        self.gate.log_out(request.environ)
        response = self._redirect(request, "/login")
        response.delete_cookie(self.gate.cookie_name, **cookie_scope(request))
        return response

    def _is_meant(self, request: MonitorRequest) -> bool:
        """Whether an action comes from our own page or with the token."""
        request.get_data(cache=True)  # before the form is parsed: the handler may want the body
        csrf = request.headers.get("X-CSRF-Token") or request.form.get("csrf", "")
        return self.gate.may_change(request.environ, request.access, csrf)

    def _refuse(self, request: MonitorRequest, access: auth.Access, wanted: str = "") -> Response:
        status = 429 if access.retry_after_s else 401
        tried = request.path == "/login" or "token" in request.args
        if request.wants_html:
            wanted = wanted or (request.full_path.rstrip("?") if not tried else "/")
            wait_s = access.retry_after_s
            response = login.page(
                self._backend, request, status, below_mount(wanted), tried=tried, wait_s=wait_s
            )
        elif access.retry_after_s:
            message = f"too many wrong tokens: none is judged for {access.retry_after_s} seconds"
            response = self._failure(request, status, message)
        else:
            message = "a token is needed: send it as Authorization: Bearer TOKEN"
            response = self._failure(request, status, message)
        response.headers["WWW-Authenticate"] = 'Bearer realm="inapp-monitor"'
        if access.retry_after_s:
            response.headers["Retry-After"] = str(access.retry_after_s)
        return response

    def _dispatch(self, request: MonitorRequest) -> Response:
        adapter = self._map.bind("localhost", path_info=request.path, default_method=request.method)
        try:
            number, parameters = adapter.match()
        except RequestRedirect:
            return self._failure(request, 404, "there is no such page")
        except MethodNotAllowed as error:
            return self._method_not_allowed(request, set(error.valid_methods or ()))
        except NotFound:
            return self._failure(request, 404, "there is no such page")
        route = self._routes[number]
        if request.method == "OPTIONS":
            return self._method_not_allowed(request, set(adapter.allowed_methods()))
        if route.changes_state and request.method not in ("GET", "HEAD"):
            if self._backend.loaded.settings.read_only:
                return self._failure(request, 403, "this dashboard is read-only")
            if not self._is_meant(request):
                return self._failure(request, 403, _NOT_MEANT)
        return self._handle(request, route, dict(parameters))

    def _handle(
        self, request: MonitorRequest, route: Route, parameters: dict[str, Any]
    ) -> Response:
        guard, part = self._backend.guard, f"page {route.rule}"
        if not guard.allows(part):
            message = "this page failed too often and is switched off until the next start"
            return self._failure(request, 503, message)
        try:
            response = route.handler(self._backend, request, **parameters)
        except QueryError as error:
            return self._failure(request, 400, str(error))
        except HTTPException as error:
            return self._failure(request, error.code or 500, error.description or "")
        except Exception as error:  # noqa: BLE001  # a page that fails must not take others along
            guard.failed(part, error)
            message = "this page failed; the status page and the app's log say why"
            return self._failure(request, 500, message)
        guard.recovered(part)
        return response

    def _method_not_allowed(self, request: MonitorRequest, allowed: set[str]) -> Response:
        names = ", ".join(sorted(allowed | {"OPTIONS"}))
        if request.method == "OPTIONS":
            return Response(status=204, headers={"Allow": names})
        response = self._failure(request, 405, f"use one of {names} here")
        response.headers["Allow"] = names
        return response

    def _failure(self, request: MonitorRequest, status: int, message: str) -> Response:
        return failure.page(self._backend, request, status, message)

    def _redirect(
        self, request: MonitorRequest, path: str, query: list[tuple[str, str]] | None = None
    ) -> Response:
        """303 to a path below the mount, never to another host."""
        response = Response(status=303)
        response.autocorrect_location_header = False
        response.headers["Location"] = address(request.root, path, query or [])
        return response

    def _with_session(
        self, request: MonitorRequest, response: Response, access: auth.Access
    ) -> Response:
        scope = cookie_scope(request)
        response.set_cookie(self.gate.cookie_name, access.session, max_age=auth.SESSION_S, **scope)
        return response

    def _finish(self, response: Response) -> Response:
        headers = response.headers
        present = {name.lower() for name in headers.keys()}  # noqa: SIM118  # they are no dict
        is_svg = "svg" in headers.get("Content-Type", "") and response.mimetype == "image/svg+xml"
        policy = SVG_POLICY if is_svg else PAGE_POLICY
        for name, value in (*_HEADERS.items(), ("Content-Security-Policy", policy)):
            if name.lower() not in present:
                headers.add(name, value)
        return response


def collect_routes() -> list[Route]:
    """The ROUTES of all modules that have some."""
    routes: list[Route] = []
    for module in route_modules():
        routes.extend(module.ROUTES)
    return routes


def route_modules() -> list[ModuleType]:
    """The modules that answer below the mount."""
    pages = [overview, routes, errors, not_found, explore, dashboards, runtime, search, status]
    pages += [logs, now, sdks, sources, ingest, statements, traces]
    pages += [alerts, alert_rule, edit_alert, incident, acknowledge, health, clear_data]
    return [*pages, render, metrics, functions, events, tags, version, prometheus, portions]
