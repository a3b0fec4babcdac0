r"""Statements whose quotes can be read in two ways, and names that hold quotes. Pure.

Whether `\'` ends a string or goes on with it depends on the dialect and on a setting of the server
(`NO_BACKSLASH_ESCAPES`, `standard_conforming_strings`). So where it occurs, the dialect's usual way
is tried first and then the other one: wrong is one that leaves a backslash outside of strings, or a
word that touches the end of a string. Where both are wrong, or a string stays open, all that
follows counts as a literal.
"""

from __future__ import annotations

import re
from typing import Final

#: Where "..." is a string and a backslash escapes.
LIKE_MYSQL: Final = frozenset(
    {
        *("mysql", "mariadb", "starrocks", "doris", "singlestoredb"),
        *("bigquery", "hive", "spark", "databricks", "impala", "access"),
    }
)
#: Where [...] is a name.
_BRACKETS: Final = frozenset(("mssql", "sqlite", "access", "sybase"))

_ESCAPED = r"(?:[^{0}\\]|\\.|{0}{0})*+(?:{0}|(?P<open{1}>\\?\Z))"
_STANDARD = r"(?:[^{0}]|{0}{0})*+(?:{0}|(?P<open{1}>\Z))"
_ALWAYS_ESCAPED = r"\b[eE]'(?:[^'\\]|\\.|'')*+(?:'|\\?\Z)"
_DOLLARS = r"\$(?P<tag>[A-Za-z_]\w*|)\$.*?(?:\$(?P=tag)\$|\Z)"


def _reading(string: str, *, like_mysql: bool) -> re.Pattern[str]:
    single, double = "'" + string.format("'", 1), '"' + string.format('"', 2)
    strings = f"{single} | {double}" if like_mysql else f"{_ALWAYS_ESCAPED} | {_DOLLARS} | {single}"
    kept = r"`[^`]*+(?:`|\Z)" if like_mysql else r'"(?:[^"]|"")*+(?:"|\Z)'
    dropped = r"(?:--(?:\s|\Z)|\#)[^\n]*+" if like_mysql else r"--[^\n]*+"
    return re.compile(
        rf"(?P<string> (?:\b(?:[nNbBxX]|[uU]&))? (?:{strings}) ) | (?P<kept> {kept} )"
        rf"| (?P<dropped> {dropped} | /\*(?![!+]).*?(?:\*/|\Z) )",
        re.VERBOSE | re.DOTALL,
    )


_READINGS: Final = {
    like_mysql: [_reading(string, like_mysql=like_mysql) for string in order]
    for like_mysql, order in {False: (_STANDARD, _ESCAPED), True: (_ESCAPED, _STANDARD)}.items()
}
_AMBIGUOUS: Final = re.compile(r"\\['\"]")
_OPEN: Final = "'"
_IN_BRACKETS: Final = re.compile(
    r"""
    (?P<kept> '(?:[^']|'')*+(?:'|\Z) | "(?:[^"]|"")*+(?:"|\Z) | --[^\n]*+ | /\*.*?(?:\*/|\Z) )
  | \[ (?:[^\]]|\]\])*+ (?:\]|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)


def settled(text: str, dialect: str) -> str:
    """A statement without the strings that can be read in two ways, and without the names in
    brackets that hold quotes or what looks like a comment: a `?` stands for each."""
    if "[" in text and dialect in _BRACKETS:
        text = _IN_BRACKETS.sub(_without_odd_name, text)
    like_mysql = dialect in LIKE_MYSQL
    if "\\'" not in text and not (like_mysql and '\\"' in text):
        return text
    for pattern in _READINGS[like_mysql]:
        found = _read(pattern, text)
        if found == _OPEN:
            break  # the text may be cut off: the other way would make sense by chance
        if found is not None:
            return found
    for match in _READINGS[like_mysql][0].finditer(text):
        if match["string"] is not None and _AMBIGUOUS.search(match.group()):
            return f"{text[: match.start()]}?"
    return text


def _without_odd_name(match: re.Match[str]) -> str:
    name = match.group()
    if match["kept"] is not None or not any(mark in name for mark in ("'", '"', "--", "/*")):
        return name
    return "?"


def _read(pattern: re.Pattern[str], text: str) -> str | None:
    """The text without its strings; None when it cannot be meant like this, `_OPEN` when one of
    them is not closed."""
    pieces, end, touches = [], 0, False
    for match in pattern.finditer(text):
        between = text[end : match.start()]
        if "\\" in between or (touches and _begins_word(between or match.group())):
            return None
        pieces.append(between)
        touches = match["string"] is not None
        if touches and (match["open1"] is not None or match.groupdict().get("open2") is not None):
            return _OPEN
        pieces.append("?" if touches else match["kept"] or " ")
        end = match.end()
    rest = text[end:]
    if "\\" in rest or (touches and _begins_word(rest)):
        return None
    return "".join([*pieces, rest])


def _begins_word(text: str) -> bool:
    return text[:1].isalnum() or text[:1] == "_"
