"""A request to the dashboard: werkzeug's, with limits and with what was decided about it."""

from __future__ import annotations

from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request

from inapp_monitor.web.auth import Access

MAX_QUERY_LENGTH = 16 * 1024
MAX_QUERY_FIELDS = 200
MAX_BODY = 2**20
MAX_PATH_LENGTH = 2_048


class MonitorRequest(Request):
    """One request below the mount.

    Attributes:
        access: Who asks; set before any handler runs.
        csrf: The token that this session's forms carry.
    """

    max_content_length = MAX_BODY
    max_form_memory_size = MAX_BODY
    max_form_parts = MAX_QUERY_FIELDS

    def __init__(self, environ: dict[str, Any]) -> None:
        super().__init__(environ, populate_request=False)
        self.access = Access(False)
        self.csrf = ""

    @property
    def is_secure_cookie(self) -> bool:
        """Whether a cookie may insist on https."""
        return self.scheme == "https"

    @property
    def root(self) -> str:
        """The mount as links need it: no trailing slash, so "" at the top."""
        return self.root_path.rstrip("/")

    @property
    def wants_json(self) -> bool:
        """A `.json` address, or a client that prefers JSON."""
        if self.path.endswith(".json"):
            return True
        best = self.accept_mimetypes.best_match(["text/html", "application/json"])
        return best == "application/json"

    @property
    def wants_html(self) -> bool:
        """A browser: it names text/html, as curl and libraries do not."""
        return not self.wants_json and "text/html" in self.headers.get("Accept", "")

    def problem(self) -> tuple[int, str] | None:
        """A status and one line when the request's size alone forbids an answer."""
        query = self.query_string
        if len(self.path) > MAX_PATH_LENGTH:
            return 414, f"the path is too long, at most {MAX_PATH_LENGTH} characters are read"
        if len(query) > MAX_QUERY_LENGTH:
            return 400, f"the query is too long, at most {MAX_QUERY_LENGTH} bytes are read"
        if query.count(b"&") >= MAX_QUERY_FIELDS:
            return 400, f"too many parameters, at most {MAX_QUERY_FIELDS} are read"
        if self.mimetype == "multipart/form-data":
            return 415, "multipart bodies are not read here"
        try:
            length = self.content_length
        except HTTPException:
            length = None
        if length is not None and length > MAX_BODY:
            return 413, f"the body is too long, at most {MAX_BODY} bytes are read"
        return None
