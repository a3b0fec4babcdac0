"""The target language: text to tree and back. Pure; it knows no function and no series.

    target   = (template | call | path) ("|" call)*
    call     = name "(" [argument ("," argument)*] ")"
    argument = [name "="] (true | false | none | inf | number | string | target)
    template = "template(" (call | path) ("," [name "="] (number | string))* ")"

A path is printable characters except `(){},.'"\\|` and blanks, in nodes joined by dots; braces hold
alternatives and a backslash takes the next character as it is. A pipe puts what is left of it in
front of the arguments of the call to its right. Every error carries its position.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple, NoReturn, TypeAlias

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query.globs import escaped_glob

DEFAULT_MAX_DEPTH = 20


class UnfinishedError(QueryError):
    """The text ends, or a bracket closes, where a name, an argument or a text is still open.

    Editors send such texts while somebody types: Graphite answers them with no series.
    """


class Path(NamedTuple):
    """A series name or pattern, escapes resolved."""

    text: str


class Literal(NamedTuple):
    """A number, a string (backslashes kept), true, false or none."""

    value: float | int | str | bool | None


class Call(NamedTuple):
    """A function and its arguments.

    `text` is the call as it was written; `piped` tells that the first argument stood before a `|`.
    """

    function: str
    arguments: tuple[Node, ...]
    keywords: tuple[tuple[str, Node], ...]
    text: str
    position: int
    piped: bool = False


class Template(NamedTuple):
    """An expression with `$name` in its paths, and the values to put there."""

    body: Node
    values: tuple[tuple[str, float | int | str], ...]


Node: TypeAlias = Path | Literal | Call | Template

_BLANK = re.compile(r"[ \t\r\n]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CALL = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)[ \t\r\n]*\(")
_KEYWORD = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)[ \t\r\n]*=")
_NUMBER = re.compile(r"-?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE]-?[0-9]+)?(?=[ \t\r\n]*(?:[,)]|$))")
_WORD = re.compile(r"(true|false|none|inf)(?=[ \t\r\n]*(?:[,)]|$))", re.IGNORECASE)
_STRING = re.compile(r'"(?:[^"\n\r\\]|""|\\.)*"' + r"|'(?:[^'\n\r\\]|''|\\.)*'")
#: After a tag's `=` the kit's own value for tag sets past the cap of a name may stand, too.
_PATH_TEXT = re.compile(r"(?:[^\s(){},.'\"\\|\x00-\x1f\x7f]|(?<==)\(other\))+")
_ESCAPABLE = set("(){},.'\"\\|=")
#: Escaped, they stand for themselves; unescaped they match.
_GLOBBING = set("*?[]")
_WORDS = {"true": True, "false": False, "none": None, "inf": math.inf}


def parse(text: str, max_depth: int = DEFAULT_MAX_DEPTH) -> Node:
    """The tree of a target.

    Raises:
        QueryError: the text is not a target; its `position` is the offending offset.
    """
    parser = _Parser(text, max_depth)
    node = parser.expression(0)
    parser.skip()
    if parser.at < len(text):
        parser.fail("unexpected text after the target")
    return node


def first_path(name: str) -> str | None:
    """The first path inside a name that looks like a call; None when there is none.

    Text that follows is ignored: names are free text.
    """
    parser = _Parser(name, 100)
    try:
        node = parser.expression(0)
    except QueryError:
        parser.at = 0
        try:
            node = parser.path(0)
        except QueryError:
            return None
    while True:
        if isinstance(node, Path):
            return node.text
        if isinstance(node, Template):
            node = node.body
        elif isinstance(node, Call) and node.arguments:
            node = node.arguments[0]
        else:
            return None


def without_pipes(node: Node) -> Node:
    """The tree in which each pipe is replaced by what stands at its left end."""
    if isinstance(node, Call):
        if node.piped:
            return without_pipes(node.arguments[0])
        arguments = tuple(without_pipes(argument) for argument in node.arguments)
        keywords = tuple((name, without_pipes(value)) for name, value in node.keywords)
        return node._replace(arguments=arguments, keywords=keywords)
    if isinstance(node, Template):
        return node._replace(body=without_pipes(node.body))
    return node


def to_text(node: Node) -> str:
    """A target that parses to the same tree (up to `Call.text` and `Call.position`)."""
    if isinstance(node, Path):
        return "".join(_escaped(node.text))
    if isinstance(node, Literal):
        return _literal_text(node.value)
    if isinstance(node, Template):
        values = [
            f"{name}={_literal_text(value)}" if not name.isdigit() else _literal_text(value)
            for name, value in node.values
        ]
        return f"template({', '.join([to_text(node.body), *values])})"
    parts = [to_text(argument) for argument in node.arguments]
    parts += [f"{name}={to_text(value)}" for name, value in node.keywords]
    return f"{node.function}({', '.join(parts)})"


def _literal_text(value: float | int | str | bool | None) -> str:
    if isinstance(value, str):
        quote = '"' if _STRING.fullmatch(f'"{value}"') else "'"
        return f"{quote}{value}{quote}"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return repr(value).replace("e+", "e")


def _escaped(text: str) -> list[str]:
    parts, depth = [], 0
    for character in text:
        if character == "{":
            depth += 1
        if character == "}":
            depth -= 1
        plain = character in "{}." or (character == "," and depth > 0)
        special = character in _ESCAPABLE and not plain
        parts.append("\\" + character if special else character)
    return parts


class _Parser:
    """Recursive descent; `at` is where it stands."""

    __slots__ = ("at", "max_depth", "text")

    def __init__(self, text: str, max_depth: int) -> None:
        self.text = text
        self.at = 0
        self.max_depth = max_depth

    def fail(self, message: str, at: int | None = None, *, unfinished: bool = False) -> NoReturn:
        position = self.at if at is None else at
        error = UnfinishedError if unfinished else QueryError
        near = self.text[position : position + 20]
        where = f"column {position + 1}"
        shown = f", near {near!r}" if near else ", at the end"
        raise error(f"target syntax: {message} at {where}{shown}", position)

    def skip(self) -> None:
        match = _BLANK.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def take(self, character: str) -> bool:
        self.skip()
        if self.text.startswith(character, self.at):
            self.at += 1
            return True
        return False

    def expression(self, depth: int) -> Node:
        if depth > self.max_depth:
            self.fail(f"nested deeper than {self.max_depth} levels")
        self.skip()
        start = self.at
        node = self.operand(depth)
        while self.take("|"):
            self.skip()
            if _CALL.match(self.text, self.at) is None:
                self.fail("expected a function call after '|'")
            depth += 1
            if depth > self.max_depth:
                self.fail(f"nested deeper than {self.max_depth} levels")
            call = self.call(depth)
            node = call._replace(
                arguments=(node, *call.arguments), text=self.text[start : self.at], piped=True
            )
        return node

    def operand(self, depth: int) -> Node:
        match = _CALL.match(self.text, self.at)
        if match is None:
            return self.path(depth)
        if match[1] == "template":
            return self.template(depth)
        return self.call(depth)

    def call(self, depth: int) -> Call:
        start = self.at
        match = _CALL.match(self.text, self.at)
        assert match is not None  # callers looked
        self.at = match.end()
        arguments: list[Node] = []
        keywords: list[tuple[str, Node]] = []
        if not self.take(")"):
            while True:
                self.skip()
                keyword = _KEYWORD.match(self.text, self.at)
                if keyword is not None:
                    self.at = keyword.end()
                    if any(name == keyword[1] for name, _ in keywords):
                        self.fail(f"keyword {keyword[1]!r} is given twice", keyword.start())
                    keywords.append((keyword[1], self.argument(depth)))
                elif keywords:
                    self.fail("expected name=value after the first keyword argument")
                else:
                    arguments.append(self.argument(depth))
                if self.take(","):
                    continue
                if self.take(")"):
                    break
                open_name = bool(arguments) and isinstance(arguments[-1], Path)
                ended = self.at == len(self.text)
                self.fail("expected ',' or ')'", unfinished=ended and open_name)
        text = self.text[start : self.at]
        return Call(match[1], tuple(arguments), tuple(keywords), text, start)

    def argument(self, depth: int) -> Node:
        self.skip()
        literal = self.literal()
        if literal is not None:
            return literal
        if self.text[self.at : self.at + 1] in ("", ")", ","):
            self.fail("expected an argument", unfinished=True)
        if self.text[self.at] in "\"'":
            self.fail("a text is not closed", unfinished=True)
        return self.expression(depth + 1)

    def literal(self) -> Literal | None:
        if match := _WORD.match(self.text, self.at):
            self.at = match.end()
            return Literal(_WORDS[match[1].lower()])
        if match := _NUMBER.match(self.text, self.at):
            self.at = match.end()
            return Literal(_number(match[0]))
        if match := _STRING.match(self.text, self.at):
            self.at = match.end()
            return Literal(match[0][1:-1])
        return None

    def template(self, depth: int) -> Template:
        match = _CALL.match(self.text, self.at)
        assert match is not None  # the caller looked
        self.at = match.end()
        self.skip()
        body: Node = self.operand(depth + 1)
        values: list[tuple[str, float | int | str]] = []
        while self.take(","):
            self.skip()
            keyword = _KEYWORD.match(self.text, self.at)
            if keyword is not None:
                self.at = keyword.end()
                self.skip()
            literal = self.literal()
            if literal is None or not isinstance(literal.value, (str, float, int)):
                self.fail("template() takes numbers and strings only")
            name = keyword[1] if keyword is not None else str(len(values) + 1)
            values.append((name, literal.value))
        if not self.take(")"):
            self.fail("expected ',' or ')'")
        return Template(body, tuple(values))

    def path(self, depth: int) -> Path:
        self.skip()
        start = self.at
        parts: list[str] = []
        while True:
            element = self.path_element(depth)
            if not element:
                if parts:
                    self.fail("expected a node after '.'", unfinished=True)
                self.fail("expected a series name")
            parts.append(element)
            if not self.text.startswith(".", self.at):
                break
            self.at += 1
        if self.at == start:
            self.fail("expected a series name")
        return Path(".".join(parts))

    def path_element(self, depth: int) -> str:
        parts: list[str] = []
        while True:
            part = self.path_text() or self.braces(depth)
            if not part:
                return "".join(parts)
            parts.append(part)

    def path_text(self) -> str:
        text, at = self.text, self.at
        if match := _PATH_TEXT.match(text, at):
            self.at = match.end()
            return match[0]
        if text.startswith("\\", at):
            following = text[at + 1 : at + 2]
            if following in _ESCAPABLE and following:
                self.at += 2
                return following
            if following in _GLOBBING and following:
                self.at += 2
                return escaped_glob(following)
            self.fail("nothing to escape after a backslash")
        return ""

    def alternative(self, depth: int) -> str:
        parts = [self.path_element(depth + 1)]
        while self.text.startswith(".", self.at):
            self.at += 1
            parts.append(self.path_element(depth + 1))
        return ".".join(parts)

    def braces(self, depth: int) -> str:
        if not self.text.startswith("{", self.at):
            return ""
        if depth > self.max_depth:
            self.fail(f"nested deeper than {self.max_depth} levels")
        begin = self.at
        self.at += 1
        alternatives = [self.alternative(depth)]
        while self.text.startswith(",", self.at):
            self.at += 1
            alternatives.append(self.alternative(depth))
        if not self.text.startswith("}", self.at):
            self.fail("a brace is not closed", begin, unfinished=True)
        self.at += 1
        return "{" + ",".join(alternatives) + "}"


def _number(text: str) -> float | int:
    if re.fullmatch(r"-?[0-9]+", text):
        return int(text) if len(text) <= 400 else float(text)
    return float(text)
