"""What functions may ask while a request is evaluated, and how a parsed target becomes series.

Evaluation is in order and from the inside out. A function that looks back in time, such as
`movingAverage`, evaluates its first argument again over the window that it needs; fetched series
are kept for the length of a request, so that nothing is read twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.ground.ranges import DistributionRange
from inapp_monitor.query import grammar
from inapp_monitor.query.grammar import Call, Literal, Node, Path, Template
from inapp_monitor.query.registry import FUNCTIONS, Function, Groups, bind
from inapp_monitor.query.request import Budget, RenderRequest
from inapp_monitor.query.series import Floats, Normalized, Series
from inapp_monitor.query.sources import Source, Window
from inapp_monitor.query.tagged import select

_TEMPLATE_NUMBER = re.compile(r"-?[0-9.]{1,40}")


@dataclass(slots=True)
class Evaluation:
    """What all windows of one request have in common.

    Attributes:
        source: Where series come from.
        budget: Points and time that are left.
        stacks: Running totals of `stacked`, by name.
        fetched: What was read, by path and window.
    """

    source: Source
    budget: Budget
    stacks: dict[str, Floats] = field(default_factory=dict)
    fetched: dict[tuple[str, Window], list[Series]] = field(default_factory=dict)


class BudgetedList(list[Any]):
    """What a function is given to go through; going through it keeps to the time limit.

    Functions are pure and know no clock, and their work grows with the series and with other
    arguments: so the limit is asked for each series here, whatever is done with it.
    """

    __slots__ = ("_budget",)

    def __init__(self, items: list[Any], budget: Budget) -> None:
        super().__init__(items)
        self._budget = budget

    def __iter__(self) -> Iterator[Any]:
        check_time = self._budget.check_time
        for item in super().__iter__():
            check_time()
            yield item


class FirstArgument(NamedTuple):
    """The first argument of a call as it was written, with the values of template variables."""

    node: Node
    values: dict[str, Any]


@dataclass(slots=True)
class Context:
    """What functions may ask while a request is evaluated: the request, seen through one window.

    Attributes:
        request: The window and options that apply where the function stands.
        evaluation: Shared with all other windows.
        x_files_factor: The default, which `setXFilesFactor` changes from there on: in this window,
            and in those that are made of it afterwards, but not in the one that it was made of.
        first_argument: Of the call that is evaluated.
    """

    request: RenderRequest
    evaluation: Evaluation
    x_files_factor: float
    first_argument: FirstArgument | None = None

    @classmethod
    def of(cls, request: RenderRequest, source: Source, budget: Budget | None = None) -> Context:
        """The whole window of a request, with nothing read yet."""
        if budget is None:
            budget = Budget(request.limits, request.elapsed)
        return cls(request, Evaluation(source, budget), request.x_files_factor)

    @property
    def budget(self) -> Budget:
        """Points and time that are left."""
        return self.evaluation.budget

    @property
    def stacks(self) -> dict[str, Floats]:
        """Running totals of `stacked`, by name."""
        return self.evaluation.stacks

    # -- for functions

    def again(self, start: int | None = None, end: int | None = None) -> list[Series]:
        """The first argument of the running function, evaluated over another window.

        Graphite forgets what stood behind pipes inside it, and so do we unless the request asks
        for our own ways.
        """
        if self.first_argument is None:
            raise QueryError("this function needs an expression as its first argument")
        node, values = self.first_argument
        if not self.request.own_consolidation:
            node = grammar.without_pipes(node)
        return self._in_window(start, end)._as_series(node, values)

    def first_path(self) -> str:
        """The first argument of the running function as the path that it is.

        Raises:
            QueryError: it is something else.
        """
        first = self.first_argument
        if first is None or not isinstance(first.node, Path):
            raise QueryError("the first argument must be a path")
        text = first.node.text
        for name, value in first.values.items():
            text = text.replace(f"${name}", str(value))
        return text

    def distribution(self, path: str) -> DistributionRange | None:
        """The histograms of a distribution in the present window."""
        found = self.evaluation.source.distribution(path, self._window())
        self.budget.spend(len(found.slots) if found else 0)
        return found

    def evaluate_text(self, target: str) -> list[Series]:
        """Another target, over the same window."""
        if len(target) > self.request.limits.target_length:
            raise QueryError("the target that the function made is too long")
        tree = grammar.parse(target, self.request.limits.depth)
        return self._in_window(None, None)._as_series(tree, {})

    def call(self, name: str, series_list: list[Series]) -> list[Series]:
        """Another function on a series list alone."""
        return self.call_with(name, [series_list])

    def call_with(self, name: str, arguments: list[list[Series]]) -> list[Series]:
        """Another function on several series lists."""
        result = self._apply(FUNCTIONS[name], list(arguments), {})
        return result if isinstance(result, list) else []

    def normalize(self, series_list: Sequence[Series]) -> Normalized:
        """The series brought to one step."""
        normalized = Normalized(series_list, align=self.request.own_consolidation)
        self.budget.spend(0)
        return normalized

    # -- evaluation

    def series_of(self, tree: Node) -> list[Series]:
        """The series that a whole target stands for."""
        return self._as_series(tree, {})

    def _as_series(self, node: Node, values: dict[str, Any]) -> list[Series]:
        result = self._value(node, values)
        if isinstance(result, Groups) and not result.lists:
            return []
        if isinstance(result, Groups):
            raise QueryError("mapSeries() can only be an argument of reduceSeries()")
        if not isinstance(result, list):
            raise QueryError(f"a target must be a series list, got {result!r}"[:200])
        return BudgetedList(result, self.budget)

    def _in_window(self, start: int | None, end: int | None) -> Context:
        """The same evaluation seen through another window."""
        request = replace(
            self.request,
            start=self.request.start if start is None else start,
            end=self.request.end if end is None else end,
        )
        return replace(self, request=request)

    def _value(self, node: Node, values: dict[str, Any]) -> Any:
        if isinstance(node, Literal):
            return node.value
        if isinstance(node, Path):
            return self._path(node.text, values)
        if isinstance(node, Template):
            return self._value(node.body, {**dict(node.values), **self.request.template})
        return self._call(node, values)

    def _path(self, text: str, values: dict[str, Any]) -> Any:
        for name, value in values.items():
            if text == f"${name}":
                if isinstance(value, str) and _TEMPLATE_NUMBER.fullmatch(value):
                    return _number(value)
                return value
            text = text.replace(f"${name}", str(value))
            if len(text) > self.request.limits.target_length:
                raise QueryError("template() makes a series name that is too long")
        return self.fetch(text)

    def _call(self, node: Call, values: dict[str, Any]) -> Any:
        if node.function == "template":
            raise QueryError("template() must be the outermost call", node.position)
        found = FUNCTIONS.get(node.function)
        if found is None:
            raise QueryError(
                f"unknown function {node.function!r} at column {node.position + 1}", node.position
            )
        arguments = [self._value(argument, values) for argument in node.arguments]
        keywords = {name: self._value(value, values) for name, value in node.keywords}
        if node.function == "seriesByTag":
            return self.fetch_tagged(bind(found, arguments, keywords), node.text)
        previous = self.first_argument
        self.first_argument = FirstArgument(node.arguments[0], values) if node.arguments else None
        try:
            return self._apply(found, arguments, keywords)
        finally:
            self.first_argument = previous

    def _apply(self, found: Function, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        bound = [self._budgeted(value) for value in bind(found, arguments, keywords)]
        self.budget.check_time()
        try:
            result = found.call(self, *bound) if found.wants_context else found.call(*bound)
        except QueryError as error:
            if str(error).startswith(f"{found.name}()"):
                raise
            raise QueryError(f"{found.name}(): {error}", error.position) from None
        except (OverflowError, ZeroDivisionError) as error:
            raise QueryError(f"{found.name}(): {error}") from None
        if isinstance(result, list):
            self.budget.spend_names(sum([len(series.name) for series in result]))
        return result

    def _budgeted(self, value: Any) -> Any:
        return BudgetedList(value, self.budget) if isinstance(value, list) else value

    # -- fetching

    def fetch(self, pattern: str) -> list[Series]:
        """The series of a path in the present window."""
        key = (pattern, self._window())
        found = self.evaluation.fetched.get(key)
        if found is None:
            found = self.evaluation.source.fetch(*key)
            self.evaluation.fetched[key] = found
        self.budget.spend(sum(map(len, found)))
        return [self._fresh(series) for series in found]

    def fetch_tagged(self, expressions: list[str], text: str) -> list[Series]:
        """The tagged series that fulfil some expressions."""
        window = self._window()
        paths = select(expressions, BudgetedList(self.evaluation.source.tagged(), self.budget))
        if len(paths) > window.max_series:
            raise QueryError(f"{text[:80]} matches {len(paths)} series")
        found = self.evaluation.source.fetch_paths(paths, text, window)
        self.budget.spend(sum(map(len, found)))
        return [self._fresh(series) for series in found]

    def _window(self) -> Window:
        request = self.request
        return Window(
            request.start,
            request.end,
            request.now,
            request.max_points,
            request.own_consolidation,
            request.limits.series,
        )

    def _fresh(self, series: Series) -> Series:
        series = series.derive()
        series.x_files_factor = self.x_files_factor
        return series


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise QueryError(f"template value {text!r} is not a number") from None
