"""Values of SQL statements that stand apart from the names of their columns. Pure.

`INSERT INTO users (name, password) VALUES (?, ?)` with `('ada', 'secret')`: which value is a secret
is told by its position alone. Works on texts as they are logged, printed and shown as variables;
what cannot be parsed stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from inapp_monitor.issues.safe_text import HIDDEN

#: Whether the value under a name is a secret.
Hides = Callable[[str, str], bool]

#: Characters of a statement that are looked at, tuples after it, and statements of a text.
MAX_STATEMENT, MAX_TUPLES, MAX_STATEMENTS = 4_000, 200, 20
#: Secret keys of a mapping, and its characters.
MAX_KEYS, MAX_MAPPING = 50, 8_000
_VERB = re.compile(r"\b(?:insert|replace|update|select|delete|merge|with)\b", re.IGNORECASE)
_SPACE = r"(?:\s|\\+[nrt])"
_INSERT = re.compile(
    rf"\b(?:insert|replace)\b[^()]{{1,200}}\((?P<columns>[^()]{{1,2000}})\)[^()]{{0,80}}?"
    rf"\bvalues?{_SPACE}*(?=\()",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"(?P<number>(?<=\?)\d+|(?<=\$)\d+|(?<=@[pP])\d+|(?<=[^:\w]:)\d+)"
    r"|\?(?!\d)|%s|%\(\w+\)s|(?<![:\w]):[A-Za-z_]\w*"
)
#: What a placeholder is compared with or assigned to.
_COMPARED = re.compile(
    rf"""(?P<name>[\w."`\[\]]+){_SPACE}*(?:<=>|[<>!]?=|[<>]|\b(?:not\s+)?i?like\b"""
    rf"""|\b(?:not\s+)?in{_SPACE}*\([^()]*){_SPACE}*(?:\w+{_SPACE}*\({_SPACE}*)*\Z""",
    re.IGNORECASE,
)
_END = re.compile(
    r"\](?:\s|\\n)*\[|;|\bargs\b|\bparam|\bwith\s+[(\[]|\bvalues?\s*[=:]", re.IGNORECASE
)
_PARAMETERS = re.compile(r"\[parameters:\s*", re.IGNORECASE)
_ITEM = re.compile(
    r"""(?:\s|\\n)*(?P<item>(?:[bruBRU]{0,2}(?P<quote>\\*["'])(?:(?P=quote)(?P=quote)|.)*?"""
    r"""(?<!\\)(?P=quote)|[^,()\[\]{}"'\\]++|[(\[{][^()\[\]{}]*+(?:[(\[{][^()\[\]{}]*+[)\]}]"""
    r"""[^()\[\]{}]*+)*+[)\]}])++)(?:\s|\\n)*""",
    re.DOTALL,
)
_OPENING = re.compile(r"[(\[]")
_CLOSING = {"(": ")", "[": "]"}
_BOUND = frozenset("([{")
#: Variables that hold what is bound to a statement.
_ARGUMENTS = re.compile(r"arg|param|value|bind|data|row|record|tuple|vars|seq", re.IGNORECASE)
_TEXT_LITERAL = r"""[bnBN]?(?:\\*'(?:[^'\\]|'')*+\\*'|\\*"[^"\\]*+\\*")"""
#: A column and the literals that it is compared with by words.
_COMPARED_BY_WORD = re.compile(
    rf"""(?<![\w.])(?P<head>(?P<name>[\w."`\[\]]++){_SPACE}+(?:not{_SPACE}+)?"""
    rf"""(?:[ir]?like|similar{_SPACE}+to|in{_SPACE}*\(){_SPACE}*)"""
    rf"""{_TEXT_LITERAL}(?:{_SPACE}*,{_SPACE}*{_TEXT_LITERAL})*""",
    re.IGNORECASE,
)
_KEYED_VALUE = (
    r"""(?:[bruBRU]{0,2}(?P<quote>\\*["'])(?:(?!(?P=quote)).)*+(?P=quote)|[^\s,{}\[\]"'][^\s,}]*)"""
)
#: What databases say of the values that they refuse.
_KEY_VALUES = re.compile(
    r"""(?P<head>\bKey \((?P<names>[^=\n]{1,500})\)=\()(?P<values>[^\n]{0,2000}?)"""
    r"""(?=\)(?:\s+(?:already|is|conflicts|still)\b|[.\\'"]|\s*$))""",
    re.MULTILINE,
)
_DUPLICATE_ENTRY = re.compile(
    r"""(?P<head>\bDuplicate entry (?P<quote>\\*["']))(?P<values>[^\n]{0,2000}?)"""
    r"""(?=(?P=quote) for key \\*["']?(?P<name>[\w.$-]+))"""
)
_FAILING_ROW = re.compile(
    r"""(\bFailing row contains \()(?!\[scrubbed\])[^\n]*?(?=\)(?:[.\\'"\]]|\s|$)|\\n|$)""",
    re.MULTILINE,
)
_NEXT_ROW = re.compile(r"\s*,\s*(?=\()")
_NOTHING = frozenset(("none", "null", "true", "false", "default", "", HIDDEN))


def hide_in_text(text: str, hides: Hides) -> str:
    """A text with statements, their literals and what is bound to them."""
    position = 0
    for _ in range(MAX_STATEMENTS):
        verb = _VERB.search(text, position)
        if verb is None:
            break
        names, end, text = _statement(text, verb.start(), hides)
        if any(hides(name, "x") for name in names if name):
            keys = _secret_keys(text, verb.start(), names, hides)
            text = (
                _hide_after(text, end, names, hides)
                if keys is None
                else (text[:end] + _hide_keyed(text[end:], keys))
            )
        position = max(end, verb.end())
    return _COMPARED_BY_WORD.sub(
        lambda match: (
            f"{match['head']}{HIDDEN}" if hides(_column(match["name"]), "x") else match[0]
        ),
        text,
    )


def hide_refused_row(text: str) -> str:
    """A text without the row that PostgreSQL refused: nothing names its values."""
    return _FAILING_ROW.sub(rf"\1{HIDDEN}", text)


def hide_refused(text: str, hides: Hides) -> str:
    """A text without the values under names that hide them, as databases name those they refuse."""
    text = _KEY_VALUES.sub(lambda match: _without_values(match, hides), text)
    return _DUPLICATE_ENTRY.sub(
        lambda match: (
            f"{match['head']}{HIDDEN}" if hides(_column(match["name"]), "x") else match[0]
        ),
        text,
    )


def _without_values(match: re.Match[str], hides: Hides) -> str:
    names, values = match["names"].split(", "), match["values"].split(", ")
    secret = [hides(_column(name.strip("()")), "x") for name in names]
    if not any(secret):
        return match[0]
    if len(names) != len(values):  # a value has a comma
        return f"{match['head']}{HIDDEN}"
    kept = [HIDDEN if hide else value for hide, value in zip(secret, values, strict=True)]
    return f"{match['head']}{', '.join(kept)}"


def hide_in_variables(
    shown: dict[str, str], hides: Hides, may_name_secrets: Callable[[str], bool] = bool
) -> dict[str, str]:
    """Variables, as they are shown, without what one of them (`args`) binds to a statement that is
    another one (`sql`). Whether a statement has a name that hides can be asked beforehand."""
    bound = [name for name in shown if shown[name][:1] in _BOUND and _ARGUMENTS.search(name)]
    if not bound:
        return shown
    statements = [text for text in shown.values() if _VERB.search(text[:100]) is not None]
    for statement in filter(may_name_secrets, statements[:MAX_STATEMENTS]):
        names, _, _ = _statement(statement, 0, _keep)
        if any(hides(name, "x") for name in names if name):
            keys = _secret_keys(statement, 0, names, hides) or []
            for variable in bound:
                text = _hide_keyed(shown[variable], keys)
                if text[0] in _CLOSING:
                    text = _replace(text, _bound(text, 0, names, hides))
                shown = {**shown, variable: text}
    return shown


def _secret_keys(text: str, start: int, names: list[str], hides: Hides) -> list[str] | None:
    """The keys of the placeholders that stand for secrets, `%(k)s` and `:k`; None when they are
    bound by position."""
    after = _END.search(text, start, start + MAX_STATEMENT)
    stop = after.start() if after is not None else start + MAX_STATEMENT
    found = [match[0].strip("%():") for match in _PLACEHOLDER.finditer(text, start, stop)]
    if len(found) != len(names):
        return None
    pairs = zip(found, names, strict=True)
    keys = [key.removesuffix(")s") for key, name in pairs if name and hides(name, "x")]
    return keys if all(key.isidentifier() and key != "s" for key in keys) else None


def _hide_keyed(text: str, keys: list[str]) -> str:
    """Hide what a mapping that follows has under some keys."""
    if not keys:
        return text
    names = "|".join(dict.fromkeys(keys[:MAX_KEYS]))
    found = re.compile(
        rf"""((?P<mark>\\*["'])(?:{names})(?P=mark)\s*:\s*){_KEYED_VALUE}""", re.DOTALL
    )
    return found.sub(rf"\1{HIDDEN}", text[:MAX_MAPPING]) + text[MAX_MAPPING:]


def _keep(_name: str, _value: str) -> bool:
    return False


def _replace(text: str, secrets: set[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


def _statement(text: str, start: int, hides: Hides) -> tuple[list[str], int, str]:
    """The names that the placeholders of a statement stand for, where it ends, and the text without
    the secrets among its own literals."""
    limit = start + MAX_STATEMENT
    names: dict[int, str] = {}
    insert = _INSERT.search(text, start, limit)
    end = start
    if insert is not None:
        columns = [_column(name) for name in insert["columns"].split(",")]
        end, text = _rows(text, insert.end(), columns, names, hides)
    after = _END.search(text, end, limit)
    stop = after.start() if after is not None else min(len(text), limit)
    for found in _PLACEHOLDER.finditer(text, end, stop):
        compared = _COMPARED.search(text, max(end, found.start() - 120), _sign(found))
        names[_number(found, len(names))] = _column(compared["name"]) if compared else ""
        end = found.end()
    ordered = [names.get(index, "") for index in range(max(names, default=-1) + 1)]
    return ordered[:500], end, text


def _rows(
    text: str, start: int, columns: list[str], names: dict[int, str], hides: Hides
) -> tuple[int, str]:
    """The tuples after VALUES: their placeholders become names, their secrets are hidden."""
    end = start
    while text[end : end + 1] == "(":
        items, close = _items(text, end)
        if len(items) != len(columns):
            break
        for (begin, stop), column in zip(items, columns, strict=True):
            for found in _PLACEHOLDER.finditer(text, begin, stop):
                names[_number(found, len(names))] = column
        for (begin, stop), column in reversed(list(zip(items, columns, strict=True))):
            value = text[begin:stop]
            literal = _PLACEHOLDER.search(value) is None and value.strip()[:1] not in "{$:@"
            if literal and _is_secret(value, column, hides):
                text = f"{text[:begin]}{HIDDEN}{text[stop:]}"
                close += len(HIDDEN) - (stop - begin)
        more = _NEXT_ROW.match(text, close)
        if more is None:
            return close, text
        end = more.end()
    return end, text


def _sign(placeholder: re.Match[str]) -> int:
    """Where a placeholder begins, the sign before its number included."""
    if placeholder["number"] is None:
        return placeholder.start()
    return placeholder.start() - (2 if placeholder.string[placeholder.start() - 1] in "pP" else 1)


def _number(placeholder: re.Match[str], following: int) -> int:
    number = placeholder["number"]
    return following if number is None else min(max(int(number[:4]) - 1, 0), 999)


def _column(name: str) -> str:
    return re.sub(r"[\"'`\[\]\s]|\\+[nrt\"']", "", name).rpartition(".")[2]


def _hide_after(text: str, position: int, names: list[str], hides: Hides) -> str:
    """Hide what is bound to a statement by the tuples that follow it."""
    parameters = _PARAMETERS.search(text, position, position + 400)
    if parameters is not None:
        position = parameters.end()
    opening = _OPENING.search(text, position, position + 400)
    for _ in range(5):
        if opening is None:
            return text
        secrets = _bound(text, opening.start(), names, hides)
        if secrets:
            return text[: opening.start()] + _replace(text[opening.start() :], secrets)
        opening = _OPENING.search(text, opening.end(), position + 400)
    return text


def _bound(text: str, start: int, names: list[str], hides: Hides) -> set[str]:
    """The secrets of a tuple of values, or of a list of such tuples."""
    items, _ = _items(text, start)
    if items and text[items[0][0]] in _CLOSING:
        return {
            secret
            for begin, _ in items[:MAX_TUPLES]
            if text[begin] in _CLOSING
            for secret in _bound(text, begin, names, hides)
        }
    if len(items) != len(names):
        return set()
    return {
        text[begin:stop].strip()
        for (begin, stop), name in zip(items, names, strict=True)
        if _is_secret(text[begin:stop], name, hides)
    }


def _is_secret(value: str, name: str, hides: Hides) -> bool:
    bare = value.strip().lstrip("bruBRU").strip("\\\"'")
    return bool(name) and bare.lower() not in _NOTHING and hides(name, bare)


def _items(text: str, start: int) -> tuple[list[tuple[int, int]], int]:
    """Where the items of a tuple or list begin and end, and where it ends itself."""
    closing = _CLOSING[text[start]]
    found: list[tuple[int, int]] = []
    position = start + 1
    while len(found) < 500:
        match = _ITEM.match(text, position)
        if match is None:
            break
        found.append(match.span("item"))
        position = match.end()
        if text[position : position + 1] != ",":
            break
        position += 1
    return found, position + 1 if text[position : position + 1] == closing else position
