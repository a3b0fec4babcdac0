"""What is added to a notice when it is sent: links, the last values, deploys and new issues.

Everything comes from functions that the monitor gives; what one of them cannot tell is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol
from urllib.parse import quote

from inapp_monitor.alerts import ack_link
from inapp_monitor.alerts.ack_link import Problem
from inapp_monitor.alerts.notice import Notice
from inapp_monitor.ground.utc_text import utc_text

#: The time that the picture shows, and its points.
SPAN_S, STEP_S = 1_800, 30
#: Deploys and issues so long before the problem count as of its time.
_BEFORE_S = 900.0
#: At most so many of each, and so many characters of one.
_MOST, _LONGEST = 5, 300


class Happening(Protocol):
    """Something that happened at a time: a deploy, a new issue."""

    @property
    def moment(self) -> float: ...
    @property
    def title(self) -> str: ...


#: The values of a rule's series that end at a time, over a span in steps; empty: there are none.
Values = Callable[[str, str, int, int, int], Sequence[float | None]]
#: What happened between two moments.
Between = Callable[[float, float], Sequence[Happening]]


def _nothing(start: float, end: float) -> Sequence[Happening]:  # noqa: ARG001
    return ()


class Context:
    """Adds to notices.

    Args:
        link: Returns the dashboard's address without a slash at its end; "" when it is not known.
        key: Returns the key of acknowledging links.
        values: Reads a series.
        deploys, issues: What happened of late.
        unit: Of the values.
        contributing: Names what makes up a state of the whole app, the worst first.
    """

    def __init__(
        self,
        link: Callable[[], str],
        key: Callable[[], bytes],
        values: Values,
        deploys: Between = _nothing,
        issues: Between = _nothing,
        contributing: Callable[[Notice], Sequence[str]] = lambda _notice: (),
        unit: Callable[[Notice], str] = lambda notice: notice.unit,
    ) -> None:
        self._link = link
        self._key = key
        self._values = values
        self._deploys = deploys
        self._issues = issues
        self._contributing = contributing
        self._unit = unit

    def enrich(self, notice: Notice) -> Notice:
        """The notice with what is known by now."""
        begin = notice.since - _BEFORE_S
        values = self._values(notice.rule, notice.series, int(notice.at), SPAN_S, STEP_S)
        return replace(
            notice,
            links=self._links(notice),
            values=_from_the_first(values),
            values_step_s=float(STEP_S),
            values_unit=self._unit(notice),
            contributing=tuple(
                each[:_LONGEST] for each in list(self._contributing(notice))[:_MOST]
            ),
            deploys=tuple(
                f"{each.title[:_LONGEST]} at {utc_text(each.moment)[11:]}"
                for each in list(self._deploys(begin, notice.at))[-_MOST:]
            ),
            issues=tuple(
                each.title[:_LONGEST] for each in list(self._issues(begin, notice.at))[:_MOST]
            ),
        )

    def _links(self, notice: Notice) -> dict[str, str]:
        root = self._link()
        if not root:
            return {}
        links = {"rule": f"{root}/alerts/{quote(notice.rule, safe='')}"}
        if notice.is_problem:
            expires = int(notice.at + ack_link.VALID_S)
            problem = Problem(notice.rule, notice.series, int(notice.since), expires)
            links["acknowledge"] = f"{root}/acknowledge/{ack_link.sign(self._key(), problem)}"
        links["overview"] = f"{root}/"
        return links


def _from_the_first(values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Values from the first that is known: a new app has no long past."""
    clean = [None if value is None or not math.isfinite(value) else value for value in values]
    first = next((place for place, value in enumerate(clean) if value is not None), len(clean))
    return tuple(clean[first:])
