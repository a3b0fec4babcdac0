"""Which release came into use when a trouble began, in words that claim no more than is known.
Pure.

A release is named only where the trouble cannot have begun before it, as far as the onset is known:
it lies in a stretch of time, a second or two of a running judge, a slot of what was stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: Seconds before an onset in which releases are looked for.
BEFORE_S = 900.0
#: How exactly a running judge knows an onset: a tick, and the whole second of a posted deploy.
ONSET_WITHIN_S = 2.0
#: So much later than a release is *since* the release: workers restart, requests have to come.
_SINCE_S = 120.0
#: Stretches of time up to this, the finest slot that is stored, count as one moment.
_MOMENT_S = 10.0

Deploys = Sequence[Mapping[str, Any]]


def deploy_before(deploys: Deploys, latest: float) -> Mapping[str, Any] | None:
    """The last of `deploys` (`timestamp`, `label`) that was not after `latest`; None for none."""
    before = [each for each in deploys if each["timestamp"] <= latest]
    return max(before, key=lambda each: float(each["timestamp"]), default=None)


def deploy_words(
    deploys: Deploys,
    onset: float,
    within_s: float = ONSET_WITHIN_S,
    *,
    is_found_later: bool = False,
) -> str:
    """`since deploy 2.5.0`, `7 min after deploy 2.5.0`; "" where no release can be named.

    Args:
        deploys: Releases that came into use, with `timestamp` and `label`.
        onset: When the trouble began, at the earliest.
        within_s: It began so many seconds later at the latest.
        is_found_later: `onset` is when it was found, and nobody knows when it began.
    """
    deploy = deploy_before(deploys, onset + within_s)
    if deploy is None:
        return ""
    name, gap_s = f"deploy {deploy['label']}", onset - deploy["timestamp"]
    if gap_s < 0 and within_s > _MOMENT_S:
        return f"{name} within the same {_span(within_s)}"
    if is_found_later:
        return f"found {_span(max(gap_s, 0.0))} after {name}"
    return f"since {name}" if gap_s <= _SINCE_S else f"{_span(gap_s)} after {name}"


def _span(seconds: float) -> str:
    for size, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"
