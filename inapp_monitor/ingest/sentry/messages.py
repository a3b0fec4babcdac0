"""What a message of an event says, and its template. Pure.

SDKs send the finished text (`formatted`), or the template and its parameters (`message` and
`params`), or a bare text. Parameters stand in the template as in Python (`%s`, `%(name)s`, `{}`,
`{0}`, `{name}`); widths and precisions are not obeyed, so that no text becomes longer than it was
sent.

Source: develop.sentry.dev/sdk/data-model/event-payloads/message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from inapp_monitor.ingest.sentry import values

_MAX_MESSAGE = 8_192
_MAX_PARAMETERS = 100
_PLACE = re.compile(
    r"%%|%(?:\((?P<key>[^()]{1,100})\))?[-+ #0]{0,5}\d{0,12}(?:\.\d{0,12})?[a-zA-Z]"
    r"|\{(?P<field>\w{0,100})(?:[.!:\[][^{}]{0,100})?\}"
)


def message_of(given: Mapping[str, object]) -> str:
    """What the message of an event says, "" without one."""
    for entry in (given.get("logentry"), given.get("sentry.interfaces.Message"),
                  given.get("message")):  # fmt: skip
        if isinstance(entry, dict):
            found = values.first_text(entry, "formatted", limit=_MAX_MESSAGE)
            template = values.text(entry.get("message"), _MAX_MESSAGE)
            found = found or filled_in(template, entry.get("params"))
        else:
            found = values.text(entry, _MAX_MESSAGE)
        if found:
            return found
    return ""


def template_of(given: Mapping[str, object]) -> str:
    """What a message says before its parameters are filled in, "" when it has none."""
    entry = given.get("logentry") or given.get("sentry.interfaces.Message") or given.get("message")
    return values.text(entry.get("message"), _MAX_MESSAGE) if isinstance(entry, dict) else ""


def filled_in(template: str, parameters: object) -> str:
    """A template with its parameters; a place without one stays as it is."""
    if isinstance(parameters, dict):
        named: Mapping[str, object] = parameters
        ordered: list[object] = []
    elif isinstance(parameters, list):
        named, ordered = {}, parameters[:_MAX_PARAMETERS]
    else:
        return template
    if not named and not ordered:
        return template
    at = iter(ordered)

    def fill(match: re.Match[str]) -> str:
        key = match["key"] or match["field"]
        if match[0] == "%%":
            return "%"
        if key and key.isascii() and key.isdigit() and ordered:
            number = int(key[:9])
            return _shown(ordered[number]) if number < len(ordered) else match[0]
        if key:
            return _shown(named[key]) if key in named else match[0]
        for value in at:
            return _shown(value)
        return match[0]

    return _PLACE.sub(fill, template)[:_MAX_MESSAGE]


def _shown(value: object) -> str:
    return "None" if value is None else values.text(value, 1_000)
