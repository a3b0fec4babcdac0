"""Where commands about alerts get their data: a data directory, or a running dashboard by HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

from inapp_monitor.ground.clock import SYSTEM, sleep
from inapp_monitor.ground.exceptions import MonitorError

if TYPE_CHECKING:
    from inapp_monitor.alerts.notifiers.http import Address

_MAX_TOKEN = 1_000
#: A dashboard that is busy is asked again after so long, for that share of the timeout.
_AGAIN_S, _PATIENT = 0.25, 0.6
#: Timeouts of a step of a request.
_LEAST_STEP_S, _LONGEST_STEP_S = 0.1, 30.0


class Asked(Protocol):
    """Something that answers as the dashboard does."""

    def get(self, path: str, query: Mapping[str, str]) -> Any:
        """The JSON at a path below the mount.

        Raises:
            MonitorError: there is none; the message says why.
        """


class StoredData:
    """A data directory; the app that writes it may run or not."""

    def __init__(self, data_dir: Path) -> None:
        """Nothing is written.

        Raises:
            MonitorError: there is no such directory.
        """
        if not data_dir.is_dir():
            raise MonitorError(f"no data directory {str(data_dir)!r}")
        from werkzeug.test import Client

        from inapp_monitor.cli.serving import stored_backend
        from inapp_monitor.web.app import WebApp

        app = WebApp(stored_backend(data_dir, may_write=False), authorizer=lambda _environ: True)
        self._client = Client(app)

    def get(self, path: str, query: Mapping[str, str]) -> Any:
        """See `Asked`."""
        answer = self._client.get(path, query_string=dict(query))
        if answer.status_code != 200:
            raise MonitorError(answer.get_data(as_text=True).strip()[:300])
        return json.loads(answer.get_data())


class Dashboard:
    """A running dashboard, such as `http://127.0.0.1:8000/_metrics`."""

    def __init__(self, url: str, token_file: str, timeout_s: float) -> None:
        """No connection yet.

        Args:
            token_file: Path of a file with the token, with or without `@` before it; "" for none.

        Raises:
            MonitorError: the address or the file cannot be used.
        """
        from inapp_monitor.alerts.notifiers.http import address_of
        from inapp_monitor.alerts.notifiers.options import Options

        step_s = min(max(timeout_s, _LEAST_STEP_S), _LONGEST_STEP_S)  # the caller waits no longer
        table = {"url": url.rstrip("/"), "allow_private": True, "timeout": step_s}
        try:
            self._address = address_of(Options("-u", table))
        except ValueError as error:
            raise MonitorError(str(error).removeprefix("notifier '-u': ")) from None
        self._timeout_s = timeout_s
        self._headers = {"User-Agent": "inapp-monitor", "Accept": "application/json"}
        if token_file:
            self._headers["Authorization"] = f"Bearer {_token(Path(token_file.removeprefix('@')))}"

    def get(self, path: str, query: Mapping[str, str]) -> Any:
        """See `Asked`."""
        from inapp_monitor.alerts.notifiers.base import FailedError, RefusedError

        address = self._address.at(path + (f"?{urlencode(query)}" if query else ""))
        try:
            return json.loads(self._received(address))
        except (FailedError, RefusedError) as error:
            raise MonitorError(str(error)) from None
        except ValueError:
            raise MonitorError(f"{address.host} does not answer with JSON") from None

    def _received(self, address: Address) -> bytes:
        """The body, asked for again while the dashboard is busy."""
        from inapp_monitor.alerts.notifiers.base import BusyError
        from inapp_monitor.alerts.notifiers.http import request

        until = SYSTEM.perf() + _PATIENT * self._timeout_s
        while True:
            try:
                return request(address, "GET", headers=self._headers, most=8 * 2**20)
            except BusyError:
                if SYSTEM.perf() >= until:
                    raise
                sleep(_AGAIN_S)


def _token(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_TOKEN).decode("ascii", "replace").strip()
    except OSError as error:
        raise MonitorError(f"token file {str(path)!r}: {error.strerror}") from None
    if not text or not text.isprintable() or " " in text:
        raise MonitorError(f"token file {str(path)!r} holds no token")
    return text
