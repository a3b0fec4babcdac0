"""A request to the dashboard: werkzeug's, with limits and with what was decided about it."""

from __future__ import annotations

from io import BytesIO
from typing import IO, Any, cast

from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.utils import cached_property
from werkzeug.wrappers import Request

from inapp_monitor.web.access.auth import Access

MAX_QUERY_LENGTH = 16 * 1024
MAX_QUERY_FIELDS = 200
MAX_BODY = 2**20
MAX_PATH_LENGTH = 2_048
#: The one address of a page that takes a file from a form.
UPLOAD_PATH = "/dashboards/import"
#: What programs send numbers to, and all below it.
INGEST_PATH = "/ingest"
#: Beside it one that collectd may be set to already.
INGEST_PATHS = (INGEST_PATH, "/collectd")


#: The texts of an environ that hold bytes as latin-1 and may hold anything a client sends.
_RAW = ("QUERY_STRING", "PATH_INFO", "SCRIPT_NAME")


class _SentBody:
    """A body that each server fails to read in its own way: all become a 400.

    werkzeug expects OSError and ValueError; of chunks that are none gunicorn makes neither.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes, all for -1.

        Raises:
            HTTPException: the body is too long, ends too soon or cannot be read.
        """
        try:
            return self._stream.read(size)
        except HTTPException:
            raise
        except Exception as error:
            raise BadRequest(f"the body cannot be read: {type(error).__name__}") from error


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
        super().__init__(_readable(environ), populate_request=False)
        self.access = Access(False)
        self.csrf = ""

    @cached_property
    def stream(self) -> IO[bytes]:
        """The body, which a server may be unable to read, or not have at all."""
        if self.environ.get("wsgi.input") is None:
            return BytesIO()
        return cast("IO[bytes]", _SentBody(super().stream))

    def _get_file_stream(self, *_: Any, **__: Any) -> IO[bytes]:
        """Uploaded files stay in memory: the body is small, and no temporary file is written."""
        return BytesIO()

    @property
    def is_secure_cookie(self) -> bool:
        """Whether a cookie may insist on https."""
        return self.scheme == "https"

    @property
    def root(self) -> str:
        """The mount as links need it: no trailing slash, so "" at the top."""
        return self.root_path.rstrip("/")

    @property
    def is_ingest(self) -> bool:
        """Whether it is addressed to where programs send numbers."""
        return self.path in INGEST_PATHS or self.path.startswith(f"{INGEST_PATH}/")

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

    def problem(self, *, reads_body: bool = True) -> tuple[int, str] | None:
        """A status and one line when the request's size alone forbids an answer.

        Args:
            reads_body: False where the handler bounds the body itself.
        """
        query = self.query_string
        if len(self.path) > MAX_PATH_LENGTH:
            return 414, f"the path is too long, at most {MAX_PATH_LENGTH} characters are read"
        if len(query) > MAX_QUERY_LENGTH:
            return 400, f"the query is too long, at most {MAX_QUERY_LENGTH} bytes are read"
        if query.count(b"&") >= MAX_QUERY_FIELDS:
            return 400, f"too many parameters, at most {MAX_QUERY_FIELDS} are read"
        if not reads_body:
            return None
        if self.mimetype == "multipart/form-data" and self.path != UPLOAD_PATH:
            return 415, "multipart bodies are not read here"
        try:
            length = self.content_length
        except HTTPException:
            length = None
        if length is not None and length > MAX_BODY:
            return 413, f"the body is too long, at most {MAX_BODY} bytes are read"
        return None


def _readable(environ: dict[str, Any]) -> dict[str, Any]:
    """The environ such that werkzeug can read it, whatever bytes the client sent.

    werkzeug raises for a query of raw bytes that are no UTF-8 and for texts that are no latin-1.
    """
    if all(str(environ.get(name, "")).isascii() for name in _RAW):
        return environ
    mended = dict(environ)
    for name in _RAW:
        raw = _bytes(str(environ.get(name, "")))
        if name == "QUERY_STRING":  # as a browser would have sent it
            mended[name] = "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in raw)
        else:
            mended[name] = raw.decode("latin-1")
    return mended


def _bytes(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:  # a server that decodes in its own way
        return text.encode("utf-8", "replace")
