"""From an SQL statement to its shape: what identifies it, without anything that is data. Pure.

Literals, bound parameters, comments and generated names go, lists become one mark. What cannot be
understood, such as a quote that is never closed, counts as a literal up to the end of the text:
privacy before prettiness. One pass of one regular expression, 11 to 25 us a statement; hostile
texts of any length take milliseconds, because no more than `MAX_READ` characters are read.
"""

from __future__ import annotations

import hashlib
import re

from inapp_monitor.traces import statement_quotes

#: Characters read of a statement, and kept of a shape.
MAX_READ = 20_000
MAX_KEPT = 2_000

_TOKEN = re.compile(
    r"""
    (?P<keep> (?:                                      # names and what stands between, as many
          "(?:[^"]|"")*+"                              # as follow: "a name"
        | `[^`]*+`                                     # `a name`
        | [^\W\d]\w*+(?!')                             # a name, no prefix of a string
        | [\s.,()=<>*+]++(?!\d)
      )++ )
  | (?P<drop>                                          # comments; hints stay
        --[^\n]*+
        | /\*(?!\+) (?: [^*/] | \*(?!/) | /(?!\*)      # in PostgreSQL with others inside,
            | /\* (?: [^*/] | \*(?!/) | /(?!\*)        # three deep
                | /\* (?: [^*] | \*(?!/) )*+ \*/ )*+ \*/ )*+ \*/
        | /\*(?!\+).*?(?:\*/|\Z) )
  | (?P<literal>
        [eE]'(?:[^'\\]|\\.|'')*+(?:'|\\?\Z)            # E'it\'s'
      | (?:[nNbBxX]|[uU]&)?'(?:[^']|'')*+(?:'|\Z)      # 'it''s', B'01', X'ff', U&'d'
      | \$(?P<tag>[A-Za-z_]\w*|)\$.*?(?:\$(?P=tag)\$|\Z)  # $tag$ ... $tag$
      | %s | %\(\w+\)s | \?\d* | \$\d+                 # bound
      | (?<!:):[^\W\d]\w*+ | (?<![\w@])@[^\W\d]\w*+
      | "(?:[^"]|"")*+\Z | `[^`]*+\Z                  # what is never closed
      | ‘[^’]*+(?:’|\Z) | [“”„][^“”]*+(?:[“”]|\Z)     # typed in a word processor
      | (?<![\w$])(?: 0[xXoObB][0-9a-fA-F_]++          # numbers
          | (?:\d[\d_]*+\.?\d*+ | \.\d++)(?:[eE][+-]?\d++)? )
    )
    """,
    re.VERBOSE | re.DOTALL,
)
#: In MySQL, "..." is a string, a backslash escapes, and # begins a comment.
_MYSQL = re.compile(
    r"""
    (?:\b[nNxXbB])?'(?:[^'\\]|\\.|'')*+(?:'|\\?\Z)
  | "(?:[^"\\]|\\.|"")*+(?:"|\\?\Z)
  | `[^`]*+(?:`|\Z)
  | (?:--(?:\s|\Z)|\#)[^\n]*+
  | /\*(?![!+]).*?(?:\*/|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
#: Oracle's q'[it's]' ends with the bracket, or the character, that it begins with.
_ORACLE = re.compile(
    r"""
    (?P<quoted> \b[nN]?[qQ]' (?: \[.*?(?:\]'|\Z) | \{.*?(?:\}'|\Z) | <.*?(?:>'|\Z)
      | \(.*?(?:\)'|\Z) | (?P<mark>[^\s\[{<(]).*?(?:(?P=mark)'|\Z) ) )
  | '(?:[^']|'')*+(?:'|\Z) | "[^"]*+(?:"|\Z) | --[^\n]*+ | /\*.*?(?:\*/|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
#: SQLite reads "..." as a string where it knows no such column: where a value is expected.
_SQLITE = re.compile(
    r"""
    (?P<kept> '(?:[^']|'')*+(?:'|\Z) | --[^\n]*+ | /\*.*?(?:\*/|\Z) )
  | (?P<list> \bIN\s*+\((?!\s*SELECT\b)
        (?: [^()"'] | "(?:[^"]|"")*+(?:"|\Z) | '(?:[^']|'')*+(?:'|\Z) )*+
      | \bVALUES\b.* )
  | (?P<before> (?: [=<>] | \|\|
      | \b(?:LIKE|GLOB|REGEXP|MATCH|THEN|ELSE|IS|NOT|BETWEEN)\b ) \s*+ )
    "(?:[^"]|"")*+(?:"|\Z)(?!\s*\.)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
#: Within a list of values: what stays (strings for later, `"a"."b"`), and a lone "...".
_QUOTED = re.compile(
    r"""
    (?P<kept> '(?:[^']|'')*+(?:'|\Z) | "[^"]*+"(?:\s*\.\s*"[^"]*+")++ | \.\s*"[^"]*+" )
  | "(?:[^"]|"")*+(?:"|\Z)
    """,
    re.VERBOSE,
)
_SIGN = re.compile(r"(?<=[=<>(,\[])\s*[+-]\?|(?<=[a-zA-Z] )[+-]\?")
_ITEMS = r"\(\s*[+-]?\?(?:\s*,\s*[+-]?\?)*+\s*,?\s*(?:\)|\Z)"
_LIST = re.compile(rf"{_ITEMS}(?:\s*,\s*{_ITEMS})*+")
#: Rows that are alike, such as `(?::TEXT, lower(?)), (?::TEXT, lower(?))`.
_ROWS = re.compile(
    r"(\((?:[^()]|\([^()]*\))*+\))(?:\s*,\s*\1)++(?:\s*,\s*(?:\((?:[^()]|\([^()]*+\)?)*+)?\Z)?"
)
_ARRAY = re.compile(r"\[\s*[+-]?\?(?:\s*,\s*[+-]?\?)+\s*\]")
#: Statements that carry a name made up by a library.
_NAMING = ("SAVE", "RELE", "ROLL", "DECL", "CLOS", "DEAL", "PREP", "EXEC", "FETC", "MOVE")
_GENERATED = re.compile(
    r"""
    (\b(?: SAVEPOINT | RELEASE\ SAVEPOINT | RELEASE | ROLLBACK\ TO\ SAVEPOINT | ROLLBACK\ TO
      | DECLARE | CLOSE | DEALLOCATE | PREPARE | EXECUTE
      | (?:FETCH|MOVE)\b[\w ]*?\bFROM | FETCH\ FORWARD\ \?\ FROM ))
    \ + (?!SAVEPOINT\b) (?: "[^"]*" | `[^`]*` | \w+ )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_DIGITS = re.compile(r"\d{6,}")


def shape_of(statement: str, dialect: str = "") -> str:
    """The shape of a statement, at most `MAX_KEPT` characters.

    `dialect` matters where strings are written in another way: `mysql` (or `mariadb`), `sqlite` and
    `oracle`.
    """
    text = statement_quotes.settled(statement[:MAX_READ], dialect)
    if dialect in statement_quotes.LIKE_MYSQL:
        text = _MYSQL.sub(_without_mysql_strings, text)
    elif dialect == "sqlite" and '"' in text:
        text = _SQLITE.sub(_without_sqlite_strings, text)
    elif dialect == "oracle":
        text = _ORACLE.sub(_without_oracle_strings, text)
    text = _TOKEN.sub(_without_literals, text)
    text = _SIGN.sub(_without_sign, text)
    text = _LIST.sub("(?)", text)
    if "::" in text:
        text = _ROWS.sub(r"\1", text)
    if "[" in text:
        text = _ARRAY.sub("[?]", text)
    text = " ".join(text.split()).rstrip("; ")
    if text[:4].upper() in _NAMING:
        text = _GENERATED.sub(r"\1 ?", text)
    if _DIGITS.search(text):
        text = _DIGITS.sub("?", text)
    return text[:MAX_KEPT]


def statement_id(system: str, shape: str) -> str:
    """Twelve hexadecimal digits that name a shape of one database, in every process the same."""
    named = f"{system}\n{shape}".encode("utf-8", "replace")
    return hashlib.sha1(named, usedforsecurity=False).hexdigest()[:12]


def _without_literals(match: re.Match[str]) -> str:
    kind = match.lastgroup
    return match.group() if kind == "keep" else " " if kind == "drop" else "?"


def _without_mysql_strings(match: re.Match[str]) -> str:
    text = match.group()
    if text[0] == "`":
        return text
    return " " if text[0] in "-#/" else "?"


def _without_oracle_strings(match: re.Match[str]) -> str:
    return match.group() if match["quoted"] is None else "?"


def _without_sqlite_strings(match: re.Match[str]) -> str:
    if match["list"] is not None:
        return _QUOTED.sub(_kept, match["list"])
    return match["kept"] or f"{match['before']}?"


def _kept(match: re.Match[str]) -> str:
    return match["kept"] or "?"


def _without_sign(match: re.Match[str]) -> str:
    return match.group().replace("-", "").replace("+", "")
