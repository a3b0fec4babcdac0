"""In which function of a JavaScript source a place is, by its braces. Pure.

No parser: from the place backwards, the first brace that is still open and belongs to a function
says its name. Strings and comments are taken out before; where that fails, no name is found, which
costs nothing but the name.
"""

from __future__ import annotations

import re

#: Characters of the source before the place that are looked at.
MAX_LOOKED_AT = 200_000
_NOISE = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`", re.DOTALL
)
_ARGUMENTS = r"\((?:[^(){}]|\{[^{}]*\}|\([^()]*\))*\)"
_RESULT = r"\s*(?::[^{}=]+)?"
_HEADS = (
    re.compile(rf"\bfunction\s*\*?\s*([\w$]+)\s*{_ARGUMENTS}{_RESULT}$"),
    re.compile(rf"([\w$]+)\s*[:=]\s*(?:async\s+)?function\s*\*?\s*{_ARGUMENTS}\s*$"),
    re.compile(
        rf"([\w$]+)\s*(?::[^={{}}]+)?[:=]\s*(?:async\s*)?(?:{_ARGUMENTS}|[\w$]+){_RESULT}=>\s*$"
    ),
    re.compile(
        r"(?:^|[;{},\n])\s*(?:static\s+|async\s+|get\s+|set\s+|\*\s*|#|public\s+|private\s+)*"
        rf"([\w$]+)\s*{_ARGUMENTS}{_RESULT}$"
    ),
)
_NO_NAMES = frozenset(
    ("if", "for", "while", "switch", "catch", "with", "return", "function", "do", "else", "try")
)
_CLASS = re.compile(r"\bclass\s+([\w$]+)[^{}]*$")
_METHOD = 3


def enclosing_function(source: str, line: int, column: int) -> str:
    """The name of the function around a place (both from 1), with its class; "" for none."""
    lines = source.split("\n")
    if not 1 <= line <= len(lines):
        return ""
    before = "\n".join([*lines[: line - 1], lines[line - 1][: column - 1]])[-MAX_LOOKED_AT:]
    text = _NOISE.sub(_blank, before)
    depth = 0
    method = ""
    for at in range(len(text) - 1, -1, -1):
        character = text[at]
        if character == "}":
            depth += 1
        elif character == "{":
            if depth:
                depth -= 1
                continue
            head = text[max(at - 500, 0) : at].rstrip()
            if method:
                found = _CLASS.search(head)
                if found:
                    return f"{found[1]}.{method}"
                return method
            for number, pattern in enumerate(_HEADS):
                found = pattern.search(head)
                if found and found[1] not in _NO_NAMES:
                    if number != _METHOD:
                        return found[1]
                    method = found[1]
                    break
    return method


def _blank(match: re.Match[str]) -> str:
    """As long as it was, without what could be a brace."""
    return re.sub(r"[^\n]", " ", match.group())
