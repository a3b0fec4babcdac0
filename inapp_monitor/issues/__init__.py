"""Errors: captured, grouped into issues, counted exactly, kept within bounds.

exception ─► tracker.capture ─► signature, grouping ─► memory (counts)
                            └─► event (while the token bucket allows)
tracker.flush ─► scrub ─► storage (through the database's queue)
pages, command line ─► board ─► reading + what is not written yet
"""

from inapp_monitor.issues.board import Board
from inapp_monitor.issues.model import IssueDetail, IssueSummary
from inapp_monitor.issues.not_found import NotFoundRow, NotFoundTable
from inapp_monitor.issues.scope import (
    add_breadcrumb,
    breadcrumbs_from,
    new_scope,
    set_context,
    set_fingerprint,
    set_tag,
    set_user,
)
from inapp_monitor.issues.tracker import Tracker

__all__ = [
    "Board",
    "IssueDetail",
    "IssueSummary",
    "NotFoundRow",
    "NotFoundTable",
    "Tracker",
    "add_breadcrumb",
    "breadcrumbs_from",
    "new_scope",
    "set_context",
    "set_fingerprint",
    "set_tag",
    "set_user",
]
