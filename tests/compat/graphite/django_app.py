"""graphite-web 1.1.10 inside this process, on a Python that it was not written for.

Runs in the environment that `venv.sh` made; imports nothing of ours.
"""

from __future__ import annotations

import collections
import inspect
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

_SETTINGS = """
from graphite.settings import *
SECRET_KEY = "compat"
TIME_ZONE = "UTC"
ALLOWED_HOSTS = ["*"]
STORAGE_DIR = {directory!r}
LOG_DIR = {directory!r}
INDEX_FILE = {directory!r} + "/index"
WHISPER_DIR = {whisper!r}
STANDARD_DIRS = [WHISPER_DIR]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {directory!r} + "/db"}}}}
CACHES = {{"default": {{"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}}}
CARBONLINK_HOSTS = []
MEMCACHE_HOSTS = []
DEFAULT_CACHE_DURATION = 0
USE_WORKER_POOL = False
CLUSTER_SERVERS = {servers!r}
STORAGE_FINDERS = {finders!r}
TAGDB = {tagdb!r}
REMOTE_EXCLUDE_LOCAL = False
"""
_LOCAL = ("graphite.finders.standard.StandardFinder",)
_REMOTE = ("graphite.finders.remote.RemoteFinder",)


def prepare(root: Path, *, servers: list[str] | None = None, whisper: str = "") -> Any:
    """Configure Django and return its test client.

    Args:
        root: Where graphite-web was unpacked.
        servers: Other servers to ask, as in CLUSTER_SERVERS; then no file is read.
        whisper: The tree to read otherwise.
    """
    warnings.simplefilter("ignore")
    if not hasattr(inspect, "getargspec"):  # gone in Python 3.11
        spec = collections.namedtuple("ArgSpec", "args varargs keywords defaults")
        inspect.getargspec = lambda f: spec(*inspect.getfullargspec(f)[:4])  # type: ignore[attr-defined]
        inspect.formatargspec = lambda *_: "()"  # type: ignore[attr-defined]
    directory = tempfile.mkdtemp(prefix="graphite-")
    text = _SETTINGS.format(
        directory=directory,
        whisper=whisper or directory,
        servers=servers or [],
        finders=_REMOTE if servers else _LOCAL,
        tagdb="graphite.tags.http.HttpTagDB" if servers else
              "graphite.tags.localdatabase.LocalDatabaseTagDB",
    )  # fmt: skip
    if servers:
        text += f"TAGDB_HTTP_URL = {servers[0].split('/?')[0]!r}\n"
    Path(directory, "compat_settings.py").write_text(text, "utf-8")
    sys.path[:0] = [str(root / "webapp"), directory]
    os.environ["DJANGO_SETTINGS_MODULE"] = "compat_settings"
    import django
    from django.core.management import call_command
    from django.test import Client

    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)
    logging.disable(logging.CRITICAL)
    return Client(raise_request_exception=False)
