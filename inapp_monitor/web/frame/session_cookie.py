"""What the session's cookie is set with, and must be deleted with."""

from __future__ import annotations

from typing import TypedDict

from inapp_monitor.web.frame.request import MonitorRequest


class CookieScope(TypedDict):
    """What the session's cookie is set with, and must be deleted with."""

    path: str
    secure: bool
    httponly: bool
    samesite: str


def cookie_scope(request: MonitorRequest) -> CookieScope:
    """For this request: https only where it came by https."""
    return {
        "path": request.root or "/",
        "secure": request.is_secure_cookie,
        "httponly": True,
        "samesite": "Strict",
    }
