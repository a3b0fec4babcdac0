"""What a proxy says of the address that visitors see, where nobody has applied it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ADVICE = "wrap the monitor, not only the app: app = ProxyFix(Monitor(app), ...)"
_LONGEST = 100


def warnings(environ: Mapping[str, Any], script_name: str) -> list[str]:
    """Sentences about this request's headers.

    Args:
        environ: Of a request to the dashboard.
        script_name: Prefix of the application in it, without the mount.
    """
    found = []
    prefix = _first(environ, "HTTP_X_FORWARDED_PREFIX").rstrip("/")
    if prefix and script_name != prefix and not script_name.startswith(prefix + "/"):
        found.append(
            f"a proxy says that this app is below {prefix}, and nothing has applied that: links of "
            f"the dashboard lead past it; {_ADVICE} with x_prefix=1"
        )
    scheme = _first(environ, "HTTP_X_FORWARDED_PROTO").lower()
    if scheme == "https" and environ.get("wsgi.url_scheme") == "http":
        found.append(
            "a proxy says that visitors use https, and nothing has applied that: cookies of the "
            f"dashboard are not marked Secure; {_ADVICE} with x_proto=1"
        )
    return found


def _first(environ: Mapping[str, Any], name: str) -> str:
    """The value that the outermost of several proxies gave."""
    return str(environ.get(name, "")).partition(",")[0].strip()[:_LONGEST]
