"""Debian's Chromium, driven by playwright, and a tab that notes what must not happen.

playwright is imported on first need: where it or Chromium is missing, the tests say why they skip.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
#: For `pytestmark` of a module.
NEEDS_CHROMIUM = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
#: The network is cut to this machine, beside the tests' watching it.
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
PATIENCE_MS = 60_000


@contextmanager
def started() -> Iterator[Any]:
    """Chromium, without a window, until the end of the block."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as engine:
        found = engine.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


class Tab:
    """A page that notes what must not happen: see `close`.

    Attributes:
        page: The page itself.
        home: The address that all its requests must begin with.
    """

    def __init__(self, browser: Any, home: str, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.home = home
        self.troubles: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", self._asked)

    def _said(self, message: Any) -> None:
        expected = "Failed to load resource" in message.text  # answers of 4xx that are asked for
        if message.type in ("error", "warning") and not expected:
            self.troubles.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith(self.home):
            self.troubles.append(f"request to {request.url}")

    def open(self, path: str) -> Any:
        """Go to a path below the home."""
        self.page.goto(self.home + path)
        return self.page

    def close(self) -> None:
        """There was no console message, no violation of the policy, no request elsewhere."""
        self.context.close()
        assert not self.troubles
