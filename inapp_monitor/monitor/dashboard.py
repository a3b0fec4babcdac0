"""The dashboard below the mount: loaded on the first visit, and guarded as everything else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from inapp_monitor.ground.process import late_imports
from inapp_monitor.monitor.life import Life
from inapp_monitor.monitor.trace_secret import trace_secret
from inapp_monitor.request.wsgi_types import Environ, StartResponse

if TYPE_CHECKING:
    from inapp_monitor.web.app import WebApp


class Dashboard:
    """Answers requests below the mount.

    *Threads:* any.
    """

    def __init__(self, life: Life) -> None:
        self._life = life
        self._core = life.core

    def serve(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one."""
        core = self._core
        try:
            self._life.attach_if_needed()
            core.note_address(environ)
            web = core.web
            if web is None:
                with late_imports.loading():
                    web = core.web = self._build()
            mount = core.settings.mount
            inner = dict(environ)
            inner["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + mount
            inner["PATH_INFO"] = environ["PATH_INFO"][len(mount) :]
            return web(inner, start_response)
        except Exception as error:  # noqa: BLE001  # the monitor's own
            core.guard.failed("dashboard", error)
            body = b"inapp-monitor: the dashboard failed, the application goes on; see its log\n"
            start_response(
                "500 Internal Server Error",
                [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))],
            )
            return [body]

    def _build(self) -> WebApp:
        from inapp_monitor.query.sources import StoreSource
        from inapp_monitor.traces.asking import cookie_value
        from inapp_monitor.web.app import WebApp
        from inapp_monitor.web.backend import Backend

        core, services = self._core, self._life.services
        backend = Backend(
            loaded=core.loaded,
            clock=core.clock,
            guard=core.guard,
            source=StoreSource(services.store),
            store=services.store,
            triage=services.tracker.triage,
            not_found=services.not_found_table,
            database=services.database,
            logs=services.log_file,
            sentry=services.sentry,
            traces=services.trace_table,
            profiles=services.profile_table,
            statements=services.statements,
            times=services.time_table,
            trace_cookie=lambda: "" if core.traced is None else cookie_value(trace_secret(core)),
            refresh=self._life.refresh,
            live=True,
            facts=self._life.facts,
            judged=services.judged,
            judged_since=core.attached_at,
            incidents=services.judge.incidents.between,
            stack_of=services.stacks.stack_of,
            listening=services.listening,
        )
        return WebApp(backend, authorizer=core.authorizer)
