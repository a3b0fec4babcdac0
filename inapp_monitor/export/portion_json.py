"""A portion as JSON and back: what one installation gives another one. Pure.

`numbers`: [path, method, begin, step, value] each; `distributions`: [path, begin, step, count, sum,
min, max, shift, bucket numbers, their counts] each.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

from inapp_monitor.export.portions import Counted, Number, Portion
from inapp_monitor.ground.histogram import MAX_SHIFT, Histogram
from inapp_monitor.ground.names import check_path
from inapp_monitor.ground.points import Batch, Distribution, Method, Scalar

_VERSION: Final = 1
#: Above every bucket of a histogram.
_BUCKETS: Final = 2**16


def dump(portion: Portion) -> bytes:
    """The document."""
    numbers = [[n.path, int(n.method), n.timestamp, n.step_s, n.value] for n in portion.numbers]
    document = {
        "version": _VERSION,
        "after": portion.after,
        "until": portion.until,
        "numbers": numbers,
        "distributions": [_row(counted) for counted in portion.counted],
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _row(counted: Counted) -> list[Any]:
    h = counted.histogram
    return [
        *(counted.path, counted.timestamp, counted.step_s),
        *(
            h.count,
            h.total,
            h.minimum,
            h.maximum,
            h.shift,
            list(h.buckets),
            list(h.buckets.values()),
        ),
    ]


def load(data: bytes) -> Portion:
    """What `dump` made.

    Raises:
        ValueError: it is something else, or says what cannot be.
    """
    try:
        document = json.loads(data)
        if document["version"] != _VERSION:
            raise ValueError(f"version {document['version']!r} is not known here")
        portion = Portion(int(document["after"]), int(document["until"]))
        for path, method, begin, step, value in document["numbers"]:
            number = Number(check_path(path), Method(method), int(begin), int(step), float(value))
            if not math.isfinite(number.value):
                raise ValueError("a value is not finite")
            portion.numbers.append(number)
        portion.counted += [_counted(row) for row in document["distributions"]]
    except (TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"no document of an installation: {type(error).__name__}") from None
    return portion


def _counted(row: list[Any]) -> Counted:
    path, begin, step, count, total, minimum, maximum, shift, numbers, counts = row
    buckets = {int(b): int(n) for b, n in zip(numbers, counts, strict=True)}
    histogram = Histogram(
        int(count), float(total), float(minimum), float(maximum), buckets, int(shift)
    )
    if (
        not 0 <= histogram.shift <= MAX_SHIFT
        or histogram.count != sum(buckets.values())
        or any(not 0 <= b < _BUCKETS or n < 1 for b, n in buckets.items())
        or not all(map(math.isfinite, (histogram.total, histogram.minimum, histogram.maximum)))
        or histogram.minimum < 0
    ):
        raise ValueError("a distribution cannot be")
    return Counted(check_path(path), int(begin), int(step), histogram)


def below(portion: Portion, prefix: str) -> tuple[Batch, int]:
    """The portion as points of series below a prefix, and how many names would be too long."""
    batch, refused = Batch([], []), 0
    for number in portion.numbers:
        path = _joined(prefix, number.path)
        if path is None:
            refused += 1
        else:
            batch.scalars.append(Scalar(path, number.timestamp, number.value, number.method))
    for counted in portion.counted:
        path = _joined(prefix, counted.path)
        if path is None:
            refused += 1
        else:
            batch.distributions.append(Distribution(path, counted.timestamp, counted.histogram))
    return batch, refused


def _joined(prefix: str, path: str) -> str | None:
    try:
        return check_path(f"{prefix}.{path}")
    except ValueError:
        return None
