"""Failures in pairs: whether two exceptions are the same issue, as a person says.

A failure is a module's source and an expression that fails; where it is deployed and what the
module is called may differ within a pair, as it does from one release or process to the next.
"""

from __future__ import annotations

from typing import NamedTuple

from bench import grouping_sources as sources


class Failure(NamedTuple):
    """One failure.

    Attributes:
        source: Of its module.
        call: An expression that raises, or that is an exception which was never raised.
        module, file, folder: What the module is called and where it lies.
        then: What stands in the file by the time it fails.
    """

    source: str
    call: str
    module: str = "shop"
    file: str = "shop.py"
    folder: str = "srv/17"
    then: str | None = None


class Pair(NamedTuple):
    """Two failures, and whether they are the same issue."""

    kind: str
    name: str
    same: bool
    first: Failure
    second: Failure


def _calls(kind: str, source: str, *pairs: tuple[str, bool, str, str]) -> list[Pair]:
    """Pairs of calls into one source."""
    return [
        Pair(kind, f"{kind}: {name}", same, Failure(source, first), Failure(source, second))
        for name, same, first, second in pairs
    ]


def _edits(kind: str, call: str, *pairs: tuple[str, bool, str, str]) -> list[Pair]:
    """Pairs of one call into two sources, of one release and the next."""
    return [
        Pair(kind, f"{kind}: {name}", same, Failure(first, call), Failure(second, call, folder="b"))
        for name, same, first, second in pairs
    ]


SAME, DIFFERENT = True, False

_VALUES = _calls(
    "values and callers",
    sources.EVERYDAY,
    ("another id in the message", SAME, "find(1)", "find(2)"),
    ("another key", SAME, "by_key('a')", "by_key('b')"),
    ("another path", SAME, "read('/no/such/a')", "read('/no/such/b')"),
    ("another name in the message", SAME, "greet('Ada')", "greet('Bob')"),
    ("another broken document", SAME, "decode('{')", "decode('[1,')"),
    ("another note", SAME, "noted('a')", "noted('b')"),
    ("a generator, later", SAME, "rows(1)", "rows(4)"),
    ("one more layer outside", SAME, "layer(0)", "outer_layer(0)"),
    ("a broken helper from two routes", SAME, "route_a('x')", "route_b('x')"),
    ("the same key error in two functions", DIFFERENT, "invoice({})", "shipping({})"),
    ("the same method in two classes", DIFFERENT, "Invoice().save()", "Order().save()"),
    ("an inherited method", SAME, "Order().check()", "Gift().check()"),
    ("one fail() for two reasons", DIFFERENT, "pay()", "ship()"),
    ("one execute() for two queries", DIFFERENT, "users()", "orders()"),
    ("one validator for two fields", DIFFERENT, "form({})", "form({'email': 1})"),
    ("two raises in a function", DIFFERENT, "check(-1)", "check(200)"),
    ("two assertions in a function", DIFFERENT, "asserted(-1)", "asserted(200)"),
    ("another type", DIFFERENT, "typed('a')", "typed('b')"),
    ("two keys in a function", DIFFERENT, "two_keys({})", "two_keys({'price': 1})"),
    ("two nested functions", DIFFERENT, "nest_a()", "nest_b()"),
    ("two decorated functions", DIFFERENT, "deco_a({})", "deco_b({})"),
    ("one function, wrong arguments from two", DIFFERENT, "few()", "many()"),
    ("async, another id", SAME, "run(fetch(1))", "run(fetch(2))"),
    ("async, two functions", DIFFERENT, "run(fetch(1))", "run(push(1))"),
)
_RETRIES = _calls(
    "retries",
    sources.RETRIES,
    ("while handling, 0 and 3", SAME, "recursive(0)", "recursive(3)"),
    ("while handling, 1 and 2", SAME, "recursive(1)", "recursive(2)"),
    ("in the same function", SAME, "same_function(0)", "same_function(3)"),
    ("from the one before, 0 and 3", SAME, "chained(0)", "chained(3)"),
    ("from the one before, 1 and 2", SAME, "chained(1)", "chained(2)"),
    ("given up, 0 and 3", SAME, "gave_up(0)", "gave_up(3)"),
    ("cleaned up, 0 and 3", SAME, "clean_up(0)", "clean_up(3)"),
    ("in a loop", SAME, "loop(1)", "loop(4)"),
    ("by a decorator", SAME, "decorated(0)", "decorated(3)"),
    ("wrapped at each level", SAME, "wrapped(1)", "wrapped(4)"),
    ("of two actions", DIFFERENT, "twice(send)", "twice(refuse)"),
)
_CHAINS = _calls(
    "causes and contexts",
    sources.CHAINS,
    ("a wrapper over two causes", DIFFERENT, "task(connect)", "task(convert)"),
    ("one handler during two errors", DIFFERENT, "handler(first)", "handler(second)"),
    ("a suppressed cause", SAME, "suppressed('b')", "suppressed('c')"),
    ("a cause with another value", SAME, "wrapped(1)", "wrapped(2)"),
    ("two wrappers over one cause", DIFFERENT, "load_user()", "load_order()"),
    ("with and without a cause", DIFFERENT, "maybe(True)", "maybe(False)"),
)
_RECURSION = [
    *_calls(
        "recursion",
        sources.RECURSION,
        ("two functions, depth 0 and 1", SAME, "at(0, even)", "at(1, even)"),
        ("two functions, depth 0 and 5", SAME, "at(0, even)", "at(5, even)"),
        ("three functions, depth 0 and 1", SAME, "at(0, a)", "at(1, a)"),
        ("three functions, depth 1 and 2", SAME, "at(1, a)", "at(2, a)"),
        ("itself, depth 0 and 4", SAME, "at(0, itself)", "at(4, itself)"),
        ("methods, depth 0 and 1", SAME, "at(0, name)", "at(1, name)"),
        ("a visitor, depth 0 and 1", SAME, "at(0, visited)", "at(1, visited)"),
        ("a visitor, depth 0 and 2", SAME, "at(0, visited)", "at(2, visited)"),
        ("two circles", DIFFERENT, "at(0, even)", "at(0, a)"),
        ("a leaf at another depth", SAME, "walk([1])", "walk([1, 2, 3])"),
        ("a leaf of two functions", SAME, "odd_leaf(3)", "odd_leaf(9)"),
    )
]


def _place(name: str, same: bool, first: Failure, second: Failure) -> Pair:
    return Pair("deployments and names", f"deployments and names: {name}", same, first, second)


_PAGE = "raise ValueError('bad page')\n"
_RUN = "def run():\n    raise ValueError('no plugin')\n"
_GENERATE = sources.GENERATE
_PLACES = [
    _place(
        "two release folders", SAME, Failure(_RUN, "run()"), Failure(_RUN, "run()", folder="srv/18")
    ),
    _place(
        "a template in two folders",
        SAME,
        Failure(sources.TEMPLATE, "render('/srv/17/templates/a.html')"),
        Failure(sources.TEMPLATE, "render('/srv/18/templates/a.html')"),
    ),
    _place(
        "two templates",
        DIFFERENT,
        Failure(sources.TEMPLATE, "render('/srv/17/templates/a.html')"),
        Failure(sources.TEMPLATE, "render('/srv/17/templates/b.html')"),
    ),
    _place(
        "two templates of the same name",
        DIFFERENT,
        Failure(sources.TEMPLATE, "render('/srv/17/templates/user/list.html')"),
        Failure(sources.TEMPLATE, "render('/srv/17/templates/order/list.html')"),
    ),
    _place(
        "a module called after an address",
        SAME,
        Failure(sources.TEMPLATE, "render('memory:0x7fd704941f50')"),
        Failure(sources.TEMPLATE, "render('memory:0x7ff538ab9f50')"),
    ),
    _place(
        "a plugin with a number",
        SAME,
        Failure(_RUN, "run()", module="plugin_3", file="mails.py"),
        Failure(_RUN, "run()", module="plugin_140501234567890", file="mails.py"),
    ),
    _place(
        "two plugins with numbers",
        DIFFERENT,
        Failure(_RUN, "run()", module="plugin_3", file="mails.py"),
        Failure(_RUN, "run()", module="plugin_4", file="cards.py"),
    ),
    _place(
        "two migrations",
        DIFFERENT,
        Failure(_RUN, "run()", module="migrations.0001_first", file="0001_first.py"),
        Failure(_RUN, "run()", module="migrations.0002_next", file="0002_next.py"),
    ),
    _place(
        "a module's number that is its name",
        DIFFERENT,
        Failure(_RUN, "run()", module="sha256", file="sha256.py"),
        Failure(_RUN, "run()", module="sha512", file="sha512.py"),
    ),
    _place(
        "a generated function",
        SAME,
        Failure(_GENERATE, "made('handler_7')"),
        Failure(_GENERATE, "made('handler_8')"),
    ),
    _place(
        "a generated function with an id",
        SAME,
        Failure(_GENERATE, "made('handler_140101777386704')"),
        Failure(_GENERATE, "made('handler_140101777386768')"),
    ),
    _place(
        "two generated functions",
        DIFFERENT,
        Failure(_GENERATE, "made('read_7')"),
        Failure(_GENERATE, "made('write_7')"),
    ),
    _place(
        "run as the main module of another folder",
        SAME,
        Failure(_RUN, "run()", module="__main__", file="serve.py"),
        Failure(_RUN, "run()", module="__main__", file="serve.py", folder="srv/18"),
    ),
    _place(
        "run and imported",
        SAME,
        Failure(_RUN, "run()", module="__main__", file="serve.py"),
        Failure(_RUN, "run()", module="serve", file="serve.py"),
    ),
]


def _replaced(name: str, then: str) -> Pair:
    kind = "sources replaced while it runs"
    first = Failure(sources.PAY, "pay(0)")
    return Pair(kind, f"{kind}: {name}", SAME, first, first._replace(then=then))


_REPLACED = [
    _replaced("lines moved", "import os\nimport re\n" + sources.PAY),
    _replaced("another text", sources.PAY.replace("refused", "gone")),
    _replaced("another statement", sources.PAY.replace("raise", "return")),
    _replaced("shorter", "x = 1\n"),
    _replaced("empty", ""),
]
_EDITED = [
    *_edits(
        "edits between releases",
        "total([])",
        ("lines moved", SAME, sources.SUM, "import os\n\n\n" + sources.SUM),
        ("a variable renamed", SAME, sources.SUM, sources.SUM.replace("prices", "items")),
        ("a docstring", SAME, sources.SUM, sources.SUM.replace("):\n", "):\n    'Sum.'\n")),
        ("a decorator added", SAME, sources.SUM, sources.LOG + "@log\n" + sources.SUM),
        ("another format of the line", SAME, sources.SUM, sources.SUM_LONG),
        ("a loop became a comprehension", SAME, sources.LOOP, sources.COMPREHENSION),
        ("the function is another", DIFFERENT, sources.SUM, sources.SUM_BY_PARTS),
    ),
    *_edits(
        "edits between releases",
        "pay(0)",
        ("a line above", SAME, sources.PAY, sources.PAY.replace("    if", "    a = 1\n    if")),
        ("the raise over three lines", SAME, sources.PAY, sources.PAY_LONG),
        ("another message", DIFFERENT, sources.PAY, sources.PAY.replace("refused", "expired")),
        ("another condition", SAME, sources.PAY, sources.PAY.replace("not amount", "amount < 1")),
    ),
]  # fmt: skip
_INSTALLED = [
    pair._replace(
        first=pair.first._replace(module="installed_shop", folder="lib/site-packages"),
        second=pair.second._replace(module="installed_shop", folder=folder),
    )
    for pair, folder in zip(
        _calls(
            "installed applications",
            sources.INSTALLED,
            ("one library call from two functions", DIFFERENT, "price()", "stock()"),
            ("two raises of its own", DIFFERENT, "boom()", "bang()"),
            ("a library call and an own one", DIFFERENT, "price()", "orders()"),
            ("another value", SAME, "read('x')", "read('y')"),
            ("beside the server and installed", SAME, "price()", "price()"),
            ("installed by Debian", SAME, "price()", "price()"),
        ),
        ("lib/site-packages",) * 4 + ("srv/17", "usr/dist-packages"),
        strict=True,
    )
]
_GENERATED = _calls(
    "generated code",
    sources.GENERATED,
    ("a dataclass from two functions", DIFFERENT, "refund()", "charge()"),
    ("a dataclass, another value", SAME, "amount(-1)", "amount(-2)"),
    ("a named tuple from two functions", DIFFERENT, "point_a()", "point_b()"),
    ("a library's generated function", DIFFERENT, "flush_a()", "flush_b()"),
    ("an executed rule, another value", SAME, "rule(1)", "rule(2)"),
    ("two executed rules", DIFFERENT, "rule(1)", "other_rule(1)"),
    ("eval in two functions", DIFFERENT, "formula_a()", "formula_b()"),
)
_LAMBDAS = _calls(
    "lambdas",
    sources.LAMBDAS,
    ("two in a table", DIFFERENT, "use('price')", "use('stock')"),
    ("two in a list", DIFFERENT, "CHECKS[0](0)", "CHECKS[1](0)"),
    ("two that differ in an attribute", DIFFERENT, "use('name')", "use('size')"),
    ("one with two values", SAME, "order([{}])", "order([{}, {'x': 1}])"),
    ("called by two", SAME, "(lambda: use('price'))()", "(lambda: [use('price')])()"),
    ("a closure with two values", SAME, "reader('a')({})", "reader('b')({})"),
    ("partials of two functions", DIFFERENT, "partial_a()", "partial_b()"),
)  # fmt: skip
_GROUPS = _calls(
    "exception groups",
    sources.GROUPS,
    ("of two and of five", SAME, "run(1, 2)", "run(1, 2, 3, 4, 5)"),
    ("of one and of forty", SAME, "run(1)", "run(*range(1, 41))"),
    ("one more of fifty", DIFFERENT, "mixed(*['key'] * 50)", "mixed(*['key'] * 50, 'number')"),
    ("in another order", SAME, "mixed('key', 'number')", "mixed('number', 'key')"),
    ("other members", DIFFERENT, "mixed('key')", "mixed('number')"),
    ("one kind more", DIFFERENT, "mixed('key')", "mixed('key', 'number')"),
    ("members with causes, more of them", SAME, "caused('key')", "caused('key', 'key')"),
    ("causes, any order", SAME, "caused('key', 'number')", "caused('number', 'key')"),
    ("members with other causes", DIFFERENT, "caused('key')", "caused('number')"),
    ("nested, more of them", SAME, "nested(1)", "nested(3)"),
    ("from two functions", DIFFERENT, "run(1)", "run_too(1)"),
    ("a group as the cause", SAME, "after(1)", "after(3)"),
)  # fmt: skip
_UNRAISED = _calls(
    "exceptions without a traceback",
    sources.EVERYDAY,
    ("another value", SAME, "ValueError('order 1 is lost')", "ValueError('order 2 is lost')"),
    ("another message", DIFFERENT, "ValueError('no such order')", "ValueError('card refused')"),
    ("another type", DIFFERENT, "ValueError('lost')", "KeyError('lost')"),
    ("another quoted name", SAME, "LookupError(\"no 'a'\")", "LookupError(\"no 'b'\")"),
    ("two arguments", SAME, "ValueError(2, 'gone')", "ValueError(5, 'gone')"),
)

PAIRS = [
    *_VALUES,
    *_EDITED,
    *_RETRIES,
    *_CHAINS,
    *_RECURSION,
    *_PLACES,
    *_REPLACED,
    *_INSTALLED,
    *_GENERATED,
    *_LAMBDAS,
    *_GROUPS,
    *_UNRAISED,
]
