"""How long a request waited before it reached the application, from what proxies write. Pure.

nginx, Heroku and others put the moment of arrival into `X-Request-Start` or `X-Queue-Start`, with
or without `t=`, in seconds, milliseconds or microseconds since 1970; mod_wsgi puts microseconds
under keys of its own. The unit shows in the magnitude.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Where to look, the earliest point of a request's way first.
_KEYS = (
    "HTTP_X_REQUEST_START",
    "HTTP_X_QUEUE_START",
    "mod_wsgi.request_start",
    "mod_wsgi.queue_start",
)
#: 2000-01-01: anything earlier is another unit, or nonsense.
_EARLIEST = 946_684_800.0
#: A longer wait is a clock that is wrong.
_LONGEST_S = 3600.0


def queue_ms(environ: Mapping[str, object], now: float) -> float | None:
    """Milliseconds between the proxy and now (epoch seconds); None when it is not known.

    A moment in the future, by clocks that differ, is no waiting.
    """
    for key in _KEYS:
        value = environ.get(key)
        if value:
            started = _seconds(value)
            if started is not None and now - started < _LONGEST_S:
                return max(0.0, (now - started) * 1000.0)
    return None


def _seconds(value: object) -> float | None:
    text = str(value)[:40].strip().removeprefix("t=")
    try:
        number = float(text)
    except ValueError:
        return None
    for factor in (1.0, 1e-3, 1e-6):
        if _EARLIEST <= number * factor < _EARLIEST * 10:
            return number * factor
    return None
