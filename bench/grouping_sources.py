"""The code that fails in the pairs of `grouping_pairs`: small modules, as text."""

EVERYDAY = """
    import asyncio, functools, json, sqlite3
    def find(number):
        raise LookupError(f"no user with id {number}")
    def by_key(name):
        return {}[name]
    def read(path):
        return open(path)
    def greet(name):
        raise ValueError("cannot greet " + name)
    def decode(text):
        return json.loads(text)
    def noted(text):
        error = ValueError("bad")
        error.add_note(text)
        raise error
    def rows(n):
        return list(1 // (n - i - 1) for i in range(n))
    def view(x): return 1 // x
    def layer(x): return view(x)
    def outer_layer(x): return layer(x)
    def parse(text): return int(text)
    def route_a(text): return parse(text)
    def route_b(text): return parse(text)
    def invoice(row): return row["id"]
    def shipping(row): return row["id"]
    class Invoice:
        def save(self): raise ValueError
    class Order:
        def save(self): raise ValueError
        def check(self): raise ValueError("unchecked")
    class Gift(Order): pass
    def fail(message): raise RuntimeError(message)
    def pay(): fail("payment refused")
    def ship(): fail("no such address")
    def execute(sql): sqlite3.connect(":memory:").execute(sql)
    def users(): execute("select * from users")
    def orders(): execute("select * from orders")
    def require(fields, name):
        if not fields.get(name):
            raise ValueError(f"{name} is missing")
    def form(fields):
        require(fields, "email")
        require(fields, "name")
    def check(age):
        if age < 0:
            raise ValueError("age is negative")
        raise ValueError("age is too high")
    def asserted(age):
        assert age >= 0, "age is negative"
        assert age < 150, "age is too high"
    def typed(kind):
        raise {"a": ValueError, "b": TypeError}[kind]("bad input")
    def two_keys(row):
        price = row["price"]
        return price * row["stock"]
    def nest_a():
        def inner(row): return row["x"]
        return inner({})
    def nest_b():
        def inner(row): return row["x"]
        return inner({})
    def deco(function):
        @functools.wraps(function)
        def wrapper(*args): return function(*args)
        return wrapper
    @deco
    def deco_a(row): return row["x"]
    @deco
    def deco_b(row): return row["x"]
    def one(argument): pass
    def few(): one()
    def many(): one(1, 2)
    async def fetch(number): raise LookupError(f"no page {number}")
    async def push(number): raise LookupError(f"no page {number}")
    def run(coroutine): return asyncio.run(coroutine)
"""
RETRIES = """
    import functools
    class NoAnswer(Exception): pass
    def send(): raise NoAnswer("no answer")
    def refuse(): raise NoAnswer("refused")
    def recursive(left):
        try: send()
        except NoAnswer:
            if not left: raise
            recursive(left - 1)
    def same_function(left):
        try: raise NoAnswer("no answer")
        except NoAnswer:
            if not left: raise
            same_function(left - 1)
    def chained(left):
        error = None
        for _ in range(left + 1):
            try:
                try: send()
                except NoAnswer as e: raise e from error
            except NoAnswer as e: error = e
        raise error
    def gave_up(left):
        try: send()
        except NoAnswer as e:
            if left: gave_up(left - 1)
            else: raise RuntimeError("gave up") from e
    def clean_up(left):
        try: send()
        finally:
            if left: clean_up(left - 1)
    def loop(attempts):
        for attempt in range(attempts):
            try: return send()
            except NoAnswer as e: last = e
        raise last
    def retry(function):
        @functools.wraps(function)
        def attempt(left):
            try: return function(left)
            except NoAnswer:
                if not left: raise
                return attempt(left - 1)
        return attempt
    @retry
    def decorated(left): send()
    def wrapped(left):
        try:
            if left: wrapped(left - 1)
            else: send()
        except Exception as e:
            raise RuntimeError("step failed") from e
    def twice(action):
        try: action()
        except NoAnswer: action()
"""
CHAINS = """
    def connect(): raise OSError("refused")
    def convert(): return int("x")
    def task(step):
        try: step()
        except Exception as error: raise RuntimeError("task failed") from error
    def first(): raise KeyError("x")
    def second(): raise KeyError("x")
    def handler(step):
        try: step()
        except KeyError: raise LookupError("not configured")
    def suppressed(name):
        try: return {"a": 1, "b": []}[name] + 1
        except Exception: raise ValueError("cannot read") from None
    def wrapped(number):
        try: raise LookupError(f"no {number}")
        except LookupError as error: raise ValueError(f"bad {number}") from error
    def load(): return {}["row"]
    def load_user():
        try: load()
        except KeyError as error: raise LookupError("no user") from error
    def load_order():
        try: load()
        except KeyError as error: raise LookupError("no order") from error
    def maybe(deep):
        try:
            if deep: load()
            raise ValueError("shallow")
        except KeyError as error: raise ValueError("shallow") from error
"""
RECURSION = """
    def even(): return odd()
    def odd(): return even()
    def a(): return b()
    def b(): return c()
    def c(): return a() + len(str(1))
    def itself(): return itself()
    class Node:
        def name(self): return f"{self.label()}"
        def label(self): return self.name()
    def name(): return Node().name()
    LOOP = []
    LOOP.append(LOOP)
    def visit(node):
        checked(node)
        return [visit_item(item) for item in node]
    def visit_item(item): return visit(item)
    def checked(node): return str(type(node)).strip()
    def visited(): return visit(LOOP)
    def at(depth, function): return at(depth - 1, function) if depth else function()
    def walk(nodes):
        if not nodes: raise ValueError("empty")
        return walk(nodes[1:])
    def even_leaf(n):
        if not n: raise ValueError("bottom")
        return odd_leaf(n - 1)
    def odd_leaf(n): return even_leaf(n - 1)
"""
TEMPLATE = """
    def render(name):
        code = compile("raise ValueError('bad page')", name, "exec")
        exec(code, {"__name__": name})
"""
GENERATE = """
    def made(name):
        space = {"__name__": "made"}
        exec(f"def {name}(): raise ValueError('made')", space)
        space[name]()
"""
PAY = """\
def pay(amount):
    if not amount:
        raise ValueError("card refused")
"""
PAY_LONG = """\
def pay(amount):
    if not amount:
        raise ValueError(
            "card refused"
        )
"""
SUM = "def total(prices):\n    return sum(prices) / len(prices)\n"
SUM_LONG = "def total(prices):\n    return (\n        sum(prices)\n        / len(prices)\n    )\n"
SUM_BY_PARTS = (
    "def mean(prices):\n    return 1 / len(prices)\ndef total(prices):\n    return mean(prices)\n"
)
LOG = """\
import functools
def log(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper
"""
LOOP = """\
def total(rows):
    found = []
    for row in [{}]:
        found.append(row["price"])
    return found
"""
COMPREHENSION = 'def total(rows):\n    return [row["price"] for row in [{}]]\n'
INSTALLED = """
    import json
    def price(): return json.loads("no")
    def stock(): return json.loads("{")
    def orders(): raise json.JSONDecodeError("no", "no", 0)
    def boom(): raise ValueError("own")
    def bang(): raise ValueError("other")
    def read(text): return json.loads(text)
"""
GENERATED = """
    import collections, dataclasses
    @dataclasses.dataclass
    class Amount:
        cents: int
        def __post_init__(self):
            if self.cents < 0: raise ValueError(f"negative: {self.cents}")
    def amount(cents): return Amount(cents)
    def refund(): Amount(-1)
    def charge(): Amount(-1)
    Point = collections.namedtuple("Point", "x y")
    def point_a(): Point(1)
    def point_b(): Point(1)
    LIBRARY = {}
    exec(compile("def flush(key): return {}[key]", "<string>", "exec"), LIBRARY)
    def flush_a(): LIBRARY["flush"]("a")
    def flush_b(): LIBRARY["flush"]("a")
    def rule(value):
        space = {"__name__": "rules"}
        exec(compile("def apply(v): return v / 0", "<rule>", "exec"), space)
        space["apply"](value)
    def other_rule(value):
        space = {"__name__": "rules"}
        exec(compile("def limit(v): return v / 0", "<rule>", "exec"), space)
        space["limit"](value)
    def formula_a(): return eval("1/0")
    def formula_b(): return eval("1/0")
"""
LAMBDAS = """
    import functools
    class Row: pass
    READ = {"price": lambda row: row["price"], "stock": lambda row: row["stock"],
            "name": lambda row: row.get("x").name, "size": lambda row: row.get("x").size}
    CHECKS = [lambda n: 1 // n, lambda n: 1 % n]
    def use(name): return READ[name]({})
    def order(rows): return sorted(rows, key=lambda row: row["rank"])
    def reader(name): return lambda row: row[name]
    def price(row, unit): return row["x"]
    def stock(row, unit): return row["x"]
    def partial_a(): return functools.partial(price, {})(1)
    def partial_b(): return functools.partial(stock, {})(1)
"""
GROUPS = """
    def work(number): raise ValueError(f"job {number}")
    def step(kind): return {"key": {}.__getitem__, "number": int}[kind]("x")
    def job(kind):
        try: step(kind)
        except Exception as error: raise RuntimeError("job failed") from error
    def collect(function, arguments):
        errors = []
        for argument in arguments:
            try: function(argument)
            except Exception as error: errors.append(error)
        return errors
    def run(*numbers): raise ExceptionGroup("jobs", collect(work, numbers))
    def run_too(*numbers): raise ExceptionGroup("jobs", collect(work, numbers))
    def mixed(*kinds): raise ExceptionGroup("jobs", collect(step, kinds))
    def caused(*kinds): raise ExceptionGroup("jobs", collect(job, kinds))
    def nested(number):
        groups = [ExceptionGroup("part", collect(work, [n])) for n in range(number)]
        raise ExceptionGroup("jobs", groups)
    def after(number):
        try: run(*range(1, number + 1))
        except ExceptionGroup as group: raise RuntimeError("failed") from group
"""
