"""What was written for Python 2 is compiled so that it means the same now. Pure.

Only syntax that both Pythons have can be read, and `except X, error:`; `print x` cannot. What is
rewritten: division of whole numbers, `has_key`, `iteritems` and its like, `keys()[0]`, `next()`,
`sys.maxint`, texts that are decoded though they are texts. `BUILTINS` are the functions that
meant something else.
"""

from __future__ import annotations

import ast
import builtins
import functools
import math
import re
import warnings
from collections.abc import Callable, ItemsView, Iterable, KeysView, ValuesView
from types import CodeType
from typing import Any, Final

_RENAMED: Final = {"iteritems": "items", "iterkeys": "keys", "itervalues": "values"}
_LISTED: Final = frozenset(("keys", "values", "items"))
#: `except OSError, error:` and `except (A, B), error:`
_OLD_EXCEPT: Final = re.compile(r"^([ \t]*except\b[^#\n]*?),[ \t]*(\w+)[ \t]*:", re.MULTILINE)
_MAX_INT: Final = 2**63 - 1


def parsed(source: str, name: str) -> ast.Module:
    """The syntax tree of a module. Raises SyntaxError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # escapes and comparisons that were usual once
        try:
            return ast.parse(source, name)
        except SyntaxError:
            return ast.parse(_OLD_EXCEPT.sub(r"\1 as \2:", source), name)


def compiled(source: str, name: str) -> CodeType:
    """The code of a module. Raises SyntaxError."""
    tree = parsed(source, name)
    divides = not any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "division" for alias in node.names)
        for node in tree.body
    )
    changed = ast.fix_missing_locations(_Rewriter(divides).visit(tree))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(changed, name, "exec", dont_inherit=True)


class _Rewriter(ast.NodeTransformer):
    def __init__(self, divides: bool) -> None:
        self._divides = divides

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if self._divides and isinstance(node.op, ast.Div):
            return _call("__divided__", node, node.left, node.right)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if not (self._divides and isinstance(node.op, ast.Div)):
            return node
        read = ast.parse(ast.unparse(node.target), mode="eval").body
        value = _call("__divided__", node, read, node.value)
        return ast.copy_location(ast.Assign([node.target], value), node)

    def visit_Import(self, node: ast.Import) -> Any:
        """`import a.b as c` would look for `b` in the present `a`, whatever stands for it here."""
        made: list[ast.stmt] = []
        for alias in node.names:
            if alias.asname is None or "." not in alias.name:
                made.append(ast.copy_location(ast.Import([alias]), node))
                continue
            nothing = ast.Constant(None)
            wanted = ast.Tuple([ast.Constant("*")], ast.Load())
            found = _call("__import__", node, ast.Constant(alias.name), nothing, nothing, wanted)
            target = ast.Name(alias.asname, ast.Store())
            made.append(ast.copy_location(ast.Assign([target], found), node))
        return made

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        is_sys = isinstance(node.value, ast.Name) and node.value.id == "sys"
        if is_sys and node.attr == "maxint":
            return ast.copy_location(ast.Constant(_MAX_INT), node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        method = node.func
        if not isinstance(method, ast.Attribute) or node.keywords:
            return node
        owner, name, given = method.value, method.attr, node.args
        if name == "has_key" and len(given) == 1:
            return _call("__has__", node, owner, given[0])
        if name == "decode":
            return _call("__decoded__", node, owner, *given)
        if given:
            return node
        if name in _RENAMED:
            method.attr = _RENAMED[name]
        elif name in _LISTED:
            return _call("__listed__", node, node)
        elif name == "next":
            return _call("__following__", node, owner)
        return node


def _call(function: str, place: ast.expr | ast.stmt, *arguments: ast.expr) -> ast.expr:
    call = ast.Call(ast.Name(function, ast.Load()), list(arguments), [])
    return ast.copy_location(call, place)


# -- what the rewritten code calls


def _divided(left: Any, right: Any) -> Any:
    if isinstance(left, int) and isinstance(right, int):
        return left // right
    return left / right


def _has(owner: Any, key: Any) -> bool:
    return owner.has_key(key) if hasattr(owner, "has_key") else key in owner


def _decoded(owner: Any, *arguments: Any) -> Any:
    return owner if isinstance(owner, str) else owner.decode(*arguments)


def _listed(found: Any) -> Any:
    return list(found) if isinstance(found, (KeysView, ValuesView, ItemsView)) else found


def _following(iterator: Any) -> Any:
    return iterator.next() if hasattr(iterator, "next") else next(iterator)


def _compare(left: Any, right: Any) -> int:
    return int(left > right) - int(left < right)


def _sorted(
    values: Iterable[Any],
    cmp: Callable[[Any, Any], int] | None = None,
    key: Callable[[Any], Any] | None = None,
    reverse: bool = False,
) -> list[Any]:
    if cmp is not None:
        compare, of = cmp, key or (lambda value: value)
        key = functools.cmp_to_key(lambda left, right: compare(of(left), of(right)))
    return sorted(values, key=key, reverse=reverse)


def _rounded(number: Any, digits: int = 0) -> float:
    """Halves go away from zero, and the result is a float."""
    scaled = abs(float(number)) * 10.0**digits
    return math.copysign(math.floor(scaled + 0.5) / 10.0**digits, number)


def _opened(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
    """Text files hold bytes: what is no UTF-8 is no error."""
    if "b" not in mode and "encoding" not in named:
        named.setdefault("encoding", "utf-8")
        named.setdefault("errors", "surrogateescape")
    return builtins.open(file, mode, *rest, **named)  # noqa: PTH123  # it stands for `open`


#: Python 2's built-in names, beside Python 3's.
BUILTINS: Final[dict[str, Any]] = {
    **vars(builtins),
    "__divided__": _divided,
    "__has__": _has,
    "__decoded__": _decoded,
    "__listed__": _listed,
    "__following__": _following,
    "basestring": str,
    "unicode": str,
    "long": int,
    "unichr": chr,
    "xrange": range,
    "raw_input": input,
    "reduce": functools.reduce,
    "cmp": _compare,
    "file": _opened,
    "open": _opened,
    "round": _rounded,
    "sorted": _sorted,
    "map": lambda *given: list(map(*given)),
    "filter": lambda *given: list(filter(*given)),
    "zip": lambda *given: list(zip(*given, strict=False)),
    "range": lambda *given: list(range(*given)),
}
