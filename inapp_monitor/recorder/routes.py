"""Names of requests: which route, which method, which slug; all of them bounded. No I/O, no clock.

A route is the template that the framework matched. Requests without one share fixed names, so that
scanners cannot fill the table; past the cap on names everything new is `(other)`, counted.
"""

from __future__ import annotations

import zlib

from inapp_monitor.ground.names import route_slug
from inapp_monitor.ground.route_text import template_of

NOT_FOUND = "(not found)"
METHOD_NOT_ALLOWED = "(method not allowed)"
REDIRECT = "(redirect)"
UNROUTED = "(unrouted)"
OTHER = "(other)"
#: They have their slugs from the start, the same in every worker, and never fill the table.
FIXED = (NOT_FOUND, METHOD_NOT_ALLOWED, REDIRECT, UNROUTED, OTHER)

METHODS = frozenset(
    ("GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT")
)
OTHER_METHOD = "OTHER"
#: Longest template kept, in characters.
MAX_ROUTE_LENGTH = 200


def method_name(method: object) -> str:
    """The method when it is one of HTTP's, else OTHER."""
    return method if isinstance(method, str) and method in METHODS else OTHER_METHOD


def status_class(status: object) -> str:
    """`2xx` for "200 OK"; an empty string when there is no valid status."""
    code = status[:3] if isinstance(status, str) else ""
    return f"{code[0]}xx" if len(code) == 3 and code.isdigit() and code[0] in "12345" else ""


def route_name(route: object, status: object) -> str:
    """The template's text, or the fixed name for a request without one.

    `route` may be a string, an object with a `rule` (Flask, werkzeug, Bottle) or None.
    """
    name = template_of(route)
    if name:
        return name[:MAX_ROUTE_LENGTH]
    code = status[:3] if isinstance(status, str) else ""
    if code == "404":
        return NOT_FOUND
    if code == "405":
        return METHOD_NOT_ALLOWED
    return REDIRECT if code[:1] == "3" else UNROUTED


class RouteTable:
    """The known routes and their slugs.

    Attributes:
        slugs: Slug to route, for the dashboard; also those that other workers gave.
        overflowed: Requests counted as `(other)` because the table was full.
        other: The slug of `(other)`.

    *Threads:* used under the recorder's lock only.
    """

    def __init__(self, max_routes: int) -> None:
        self.slugs: dict[str, str] = {}
        self.overflowed = 0
        self._max_routes = max_routes
        self._slug_of: dict[str, str] = {}  # of the routes seen by this process: they count
        self._adopted: dict[str, str] = {}  # given by others
        self.adopt({route_slug(route): route for route in FIXED})
        self.other = self._adopted[OTHER]

    def slug(self, route: str, count: int = 1) -> str:
        """The slug of a route, made at first sight; that of `(other)` once the table is full."""
        slug = self._slug_of.get(route)
        if slug is not None:
            return slug
        if route in FIXED:
            return self._adopted[route]
        if len(self._slug_of) >= self._max_routes:
            self.overflowed += count
            return self._adopted[OTHER]
        slug = self._slug_of[route] = self._adopted.get(route) or self._new_slug(route)
        return slug

    def known_slug(self, route: str) -> str:
        """The slug of a route that has one; else that of `(other)`."""
        slug = self._slug_of.get(route) or self._adopted.get(route)
        return self._adopted[OTHER] if slug is None else slug

    def _new_slug(self, route: str) -> str:
        slug = route_slug(route)
        if self.slugs.get(slug, route) != route:  # taken: a suffix that is the same everywhere
            checksum = f"{zlib.crc32(route.encode('utf-8', 'replace')):08x}"
            short = f"{slug}-{checksum[4:]}"
            slug = short if self.slugs.get(short, route) == route else f"{slug}-{checksum}"
        self.slugs[slug] = route
        return slug

    def adopt(self, slugs: dict[str, str]) -> None:
        """Take over slugs that other workers or earlier runs gave; theirs win."""
        for slug, route in slugs.items():
            own = self.slugs.get(slug, route)
            if own in FIXED and own != route:
                continue
            if (
                own != route
            ):  # named in two workers at once: this one's gets another slug when next seen
                self._slug_of.pop(own, None)
                self._adopted.pop(own, None)
            self.slugs[slug] = route
            self._adopted[route] = slug
            if route in self._slug_of:
                self._slug_of[route] = slug
