"""From targets to series: each target is parsed, then evaluated in one context for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query import functions, grammar
from inapp_monitor.query.context import Context
from inapp_monitor.query.request import Budget, RenderRequest
from inapp_monitor.query.series import Series
from inapp_monitor.query.sources import Source

functions.load()


def evaluate(
    targets: Sequence[str], request: RenderRequest, source: Source, budget: Budget | None = None
) -> list[Series]:
    """The series of all targets, in order.

    Args:
        targets: In Graphite's language.
        request: The window and options.
        source: Where series come from.
        budget: What may be spent; default: all that the request allows.

    Raises:
        QueryError: a target is malformed, a function is unknown or wrongly used, or a limit is
            exceeded; one line says which.
    """
    limits = request.limits
    wanted = [target for target in targets if target.strip()]
    if len(wanted) > limits.targets:
        raise QueryError(f"{len(wanted)} targets, at most {limits.targets} are allowed")
    for target in wanted:
        if len(target) > limits.target_length:
            raise QueryError(
                f"target has {len(target)} characters, at most {limits.target_length} are allowed"
            )
    trees = []
    for target in wanted:
        try:
            trees.append(grammar.parse(target, limits.depth))
        except grammar.UnfinishedError:
            continue  # somebody is typing it
    context = Context.of(request, source, budget)
    found: list[Series] = []
    with np.errstate(all="ignore"):  # what overflows is infinite, what has no value is null
        for tree in trees:
            found += context.series_of(tree)
    return found
