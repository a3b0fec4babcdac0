"""Which browser sent an event: what its contexts say, else its User-Agent header. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from inapp_monitor.ingest.sentry import values

#: The first that matches: each of them also claims to be one of those behind it.
_AGENTS = (
    ("Edge", re.compile(r"Edg(?:e|A|iOS)?/(\d+)")),
    ("Opera", re.compile(r"(?:OPR|Opera)/(\d+)")),
    ("Samsung Internet", re.compile(r"SamsungBrowser/(\d+)")),
    ("Firefox", re.compile(r"(?:Firefox|FxiOS)/(\d+)")),
    ("Chrome", re.compile(r"(?:HeadlessChrome|Chrome|CriOS)/(\d+)")),
    ("Safari", re.compile(r"Version/(\d+)[.\d]* (?:Mobile/\S+ )?Safari/")),
)


def browser_of(contexts: Mapping[str, object], request: Mapping[str, Any] | None) -> str:
    """Name and main version such as `Chrome 156`, "" for anything else than a browser."""
    facts = values.mapping(contexts.get("browser"))
    name = values.text(facts.get("name"), 60)
    if name:
        version = values.text(facts.get("version"), 40).partition(".")[0]
        return f"{name} {version}".strip()
    for header, value in (request or {}).get("headers", ()):
        if header.lower() == "user-agent":
            return of_user_agent(value)
    return ""


def of_user_agent(header: str) -> str:
    """As `browser_of`, from the header alone."""
    if not header.startswith("Mozilla/"):
        return ""
    for name, pattern in _AGENTS:
        match = pattern.search(header)
        if match:
            return f"{name} {match[1]}"
    return ""
