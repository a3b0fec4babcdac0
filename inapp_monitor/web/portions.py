"""`/export/portion.json`: closed intervals for another installation, see `inapp-monitor pull`."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from werkzeug.wrappers import Response

from inapp_monitor.export import closed_intervals, portion_json
from inapp_monitor.export.portions import Portion
from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.web.frame.routing import Route

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from inapp_monitor.web.backend import Backend


def portion(backend: Backend, request: Request) -> Response:
    """What intervals hold that ended after the moment `after`; at most five minutes of them.

    Raises:
        QueryError: `after` is no moment.
    """
    given = request.args.get("after", "")
    if not (given.isascii() and given.isdecimal() and len(given) <= 12):
        raise QueryError("parameter 'after' must be a number of seconds since 1970")
    after, now = int(given), backend.now()
    backend.refresh()
    window = closed_intervals.window(after, now)
    if window is None:
        found = Portion(after, after)
    else:
        found = closed_intervals.read(backend.store, *window, now)
    response = Response(portion_json.dump(found), mimetype="application/json")
    if request.accept_encodings.quality("gzip") > 0:
        response.set_data(gzip.compress(response.get_data(), 1, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    return response


ROUTES = [Route("/export/portion.json", portion)]
