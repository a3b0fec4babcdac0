"""The status page warns of a prefix or scheme that a proxy names and nobody has applied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

from inapp_monitor import Monitor

TOKEN = {"Authorization": "Bearer proxy-token-1"}
PROXY = {"X-Forwarded-Prefix": "/shop", "X-Forwarded-Proto": "https"}


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"x"]


@pytest.mark.parametrize(
    ("is_outside", "headers", "wanted"),
    [(False, PROXY, ["below /shop", "use https"]), (True, PROXY, []), (False, {}, [])],
)
def test_what_nobody_applied_is_a_warning(
    tmp_path: Path, is_outside: bool, headers: dict[str, str], wanted: list[str]
) -> None:
    """With ProxyFix around the monitor, or without a proxy, there is none."""
    monitor: Any = Monitor(
        app if is_outside else ProxyFix(app, x_prefix=1), data_dir=tmp_path, token="proxy-token-1"
    )
    served = ProxyFix(monitor, x_prefix=1, x_proto=1) if is_outside else monitor
    client = Client(served)
    found = client.get("/_metrics/status.json", headers={**TOKEN, **headers}).get_json()
    page = client.get("/_metrics/status", headers={**TOKEN, **headers}).text
    monitor.close()
    assert len(found["proxy_warnings"]) == len(wanted)
    for text in wanted:
        assert text in page
