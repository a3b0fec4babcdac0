"""Which messages are the same issue: part of the rule `v2`. Pure.

A message is compared without its values: numbers, identifiers, addresses, times and quoted names
become their kind. What says *what happened* is kept: quoted text that is a phrase, all quoted text
of a template with placeholders, and of structured records (JSON, a dictionary, `key=value`) the
text under a name such as `event` or `message`. A traceback in the text is compared by its last
functions and the type of its exception.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping

from inapp_monitor.issues.grouping.fingerprint import Grouping, grouping_of
from inapp_monitor.issues.grouping.names import without_numbers
from inapp_monitor.issues.grouping.v2 import VERSION

#: Names, without case and punctuation, under which a structured record says what happened: the
#: first of these that it has,
SUBJECTS = (
    "event",
    "eventname",
    "message",
    "msg",
    "shortmessage",
    "logmessage",
    "text",
    "title",
    "description",
    "detail",
)
#: all of these,
CAUSES = (
    "error",
    "err",
    "errormessage",
    "errortype",
    "errorcode",
    "exception",
    "exceptiontype",
    "exctype",
    "reason",
    "action",
    "operation",
    "type",
    "kind",
    "code",
)
#: and without any of them, these.
STATES = (
    "status",
    "state",
    "outcome",
    "result",
    "service",
    "component",
    "step",
    "task",
    "job",
    "check",
)
EVENT_NAMES = frozenset(SUBJECTS + CAUSES + STATES)
#: Of a message that is looked at, and of its first two lines that are compared.
MAX_JSON_CHARS, MAX_LITERAL_CHARS, MAX_COMPARED_CHARS = 10_000, 2_000, 500

_VALUES = re.compile(
    r"""
    (?P<email>[\w.+-]+@[\w-]+\.[\w.-]+)
    | (?P<url>\b[a-z][a-z0-9+.-]*://\S+)
    | (?P<uuid>\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b)
    | (?P<ip>\b\d{1,3}(?:\.\d{1,3}){3}\b)
    | (?P<date>\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)?)
    | (?P<hex>\b0x[0-9a-f]+\b|\b(?=[a-f]*\d)[0-9a-f]{8,}\b)
    | (?P<pair>["']?(?<![\w.])(?P<name>[a-z_][\w.-]{0,60})["']?
        (?:=|(?<=["']):[ ]?)
        (?P<value>"[^"\n]{0,200}"|'[^'\n]{0,200}'|<\w[^<>\n]{0,200}>
            |[^\s"',;{}()\[\]]{1,200}))
    | (?P<quoted>(?<!\w)(?:'[^'\n]{0,200}'|"[^"\n]{0,200}")(?!\w))
    | (?P<number>(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?=[a-z%]{0,3}\b|\W|$))
    """,
    re.VERBOSE | re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[-#0+]*\d*(?:\.\d+)?[sdrifgx]|\{\w*(?:![rsa])?\}")
#: At least two words, of letters only, of which not all are names.
_PHRASE = re.compile(r"(?=.*\s[a-z])[^\W\d_][^\W\d_]*(?:[ ,;'-]+[^\W\d_]+)+[.!?]?")
_PUNCTUATION = re.compile(r"[^a-zA-Z]")
_LETTER = re.compile(r"[^\W\d_]")
_COLORS = re.compile(r"\x1b\[[0-9;]*m")
_TRACEBACK = "Traceback (most recent call last)"
_FRAME = re.compile(r'^\s+File "([^"\n]+)", line \d+, in (.+)$', re.MULTILINE)
_RAISED = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)", re.MULTILINE)


def group_message(template: str, *, place: str = "", text: str = "") -> Grouping:
    """The fingerprint of a message: its template, or its text with the values taken out.

    Args:
        template: A log record's `msg`, or any text.
        place: What else distinguishes messages, such as the logger's name.
        text: What was made of the template; compared where that alone says nothing, as "%s" does.
    """
    if text and not _LETTER.search(_PLACEHOLDER.sub("", template)):
        template = text
    lines = [f"message: {parameterize(template)}"]
    if place:
        lines.append(f"from: {place}")
    return grouping_of(lines, VERSION)


def parameterize(text: str) -> str:
    """What a text says, with values replaced by their kind, such as `<number>`."""
    text = _COLORS.sub("", text[: MAX_JSON_CHARS + 1]).strip()
    if _TRACEBACK in text:
        return _of_traceback(text)
    record = _structured(text)
    if record is not None:
        return _of_record(record)
    return _of_text(text)


def _of_text(text: str) -> str:
    short = "\n".join(text.split("\n", 2)[:2])[:MAX_COMPARED_CHARS]
    is_template = _PLACEHOLDER.search(short) is not None

    def kind(match: re.Match[str]) -> str:
        found = match.group()
        if match.lastgroup == "pair":
            return _pair(match, keep=is_template)
        if match.lastgroup == "quoted":
            return found if is_template else _quoted(found)
        return f"<{match.lastgroup}>"

    return _VALUES.sub(kind, short).strip()


def _pair(match: re.Match[str], *, keep: bool) -> str:
    """`name=value` or `"name": value`; of names that say what happened the value stays."""
    whole, value = match.group(), match["value"]
    before = whole[: len(whole) - len(value)]
    if keep:
        return whole
    if _plain(match["name"]) not in EVENT_NAMES:
        return f"{before}<value>"
    return before + (_of_text(value[1:-1]) if value[0] in "\"'" else _of_text(value))


def _quoted(text: str) -> str:
    """Quoted text: a phrase stays, a name does not."""
    return text if _PHRASE.fullmatch(text[1:-1]) else "<quoted>"


def _structured(text: str) -> Mapping[object, object] | None:
    """The dictionary that a text is, as JSON or as Python writes it."""
    if not text.startswith("{") or not text.endswith("}") or len(text) > MAX_JSON_CHARS:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        if len(text) > MAX_LITERAL_CHARS:
            return None
        try:
            found = ast.literal_eval(text)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return None
    return found if isinstance(found, dict) and found else None


def _plain(name: str) -> str:
    return _PUNCTUATION.sub("", name[:60]).lower()


def _of_record(record: Mapping[object, object]) -> str:
    """What a structured record says happened; without that, which names it has."""
    said = _said(record, 3)
    if said:
        return "{" + ", ".join(said) + "}"
    return "{" + ", ".join(sorted(str(name)[:60] for name in record)[:20]) + "}"


def _said(record: Mapping[object, object], depth: int) -> list[str]:
    """`name: text` for the values that say what happened."""
    names = {_plain(str(name)): name for name in record}

    def of(name: str) -> list[str]:
        value = record[names[name]] if name in names else None
        if isinstance(value, str) and value:
            return [f"{name}: {_of_text(value)}"]
        if isinstance(value, Mapping) and depth:
            return [f"{name}.{text}" for text in _said(value, depth - 1)]
        return []

    found = next(filter(None, map(of, SUBJECTS)), [])
    found = found + [text for name in CAUSES for text in of(name)]
    return found or of("record") or [text for name in STATES for text in of(name)]


def _of_traceback(text: str) -> str:
    """A text with a traceback: what stands before it, its last functions and its exception."""
    before, _, rest = text.partition(_TRACEBACK)
    last = rest.rpartition(_TRACEBACK)[2]
    frames = [
        f"{file.replace(chr(92), '/').rpartition('/')[2]}:{function}"
        for file, function in _FRAME.findall(last)[-2:]
    ]
    raised = _RAISED.findall(last)
    line = f"{raised[-1] if raised else 'traceback'} in {' > '.join(frames)}"
    return f"{_of_text(before)} {without_numbers(line)}".strip()
