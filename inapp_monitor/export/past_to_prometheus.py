"""The past for Prometheus (a file for promtool), VictoriaMetrics (import) and remote write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from inapp_monitor.export import remote_write
from inapp_monitor.export.exposition import heading, labels_text
from inapp_monitor.export.handing_over import HandOverError
from inapp_monitor.export.http_calls import Answer, authorization, post
from inapp_monitor.export.metric_names import Metric, metrics_of
from inapp_monitor.export.past import Past
from inapp_monitor.export.past_samples import Line, lines_of, text_of
from inapp_monitor.export.totals import Totals
from inapp_monitor.ground.destination import Destination
from inapp_monitor.ground.ranges import Leaf

#: Points of one line of JSON, and bytes of one request.
_POINTS_A_LINE: Final = 10_000
_BYTES_A_POST: Final = 4 * 2**20
_IMPORT: Final = "/api/v1/import"
_JSON: Final = {"Content-Type": "application/json"}
#: Samples of one series, and bytes, of one request of remote write: receivers bound both.
_SAMPLES_A_SERIES: Final = 10_000
_BYTES_A_WRITE: Final = 2**20


class _ByFamily:
    """Series in the order of Prometheus' families."""

    def __init__(self, routes: Mapping[str, str]) -> None:
        self._routes = routes
        self.metrics: dict[str, Metric] = {}

    def order(self, leaves: Sequence[Leaf]) -> list[Leaf]:
        """Those of one family follow each other."""
        self.metrics = metrics_of(leaves, self._routes)
        by_path = {leaf.path: leaf for leaf in leaves}
        return [by_path[path] for path in self.metrics]

    def lines(self, series: Past, totals: Totals) -> Iterator[Line]:
        """What a stored series becomes."""
        return lines_of(series, self.metrics[series.leaf.path], totals)


class OpenMetricsFile(_ByFamily):
    """A `Receiver`: a file for `promtool tsdb create-blocks-from openmetrics`."""

    def __init__(self, path: Path, routes: Mapping[str, str]) -> None:
        super().__init__(routes)
        self._path = path
        self._file: Any = None
        self._family = ""

    def begin(self, position: int, last: str | None) -> None:
        """Open it; what was written after the last flush of an earlier attempt is cut off."""
        self._path.touch(mode=0o600)
        self._file = self._path.open("r+b", buffering=2**20)
        self._file.truncate(position)
        self._file.seek(position)
        if last in self.metrics:
            self._family = self.metrics[last].family

    def take(self, series: Past, totals: Totals) -> int:
        """Write one series."""
        metric = self.metrics[series.leaf.path]
        if metric.family != self._family:
            self._family = metric.family
            self._write(heading(metric, openmetrics=True))
        lines = list(self.lines(series, totals))
        heads = [f"{line.name}{labels_text(line.labels)}" for line in lines]
        self._write(text_of(lines, heads))
        return sum(len(line.times) for line in lines)

    def _write(self, text: str) -> None:
        self._file.write(text.encode("utf-8", "replace"))

    def flush(self) -> int:
        """To the disk."""
        self._file.flush()
        return int(self._file.tell())

    def end(self) -> None:
        """What tells a reader that the file is whole."""
        self._write("# EOF\n")
        self._file.flush()

    def close(self) -> None:
        """Close it."""
        if self._file is not None:
            self._file.close()


class _Posting(_ByFamily):
    """A `Receiver` that posts what it is given, piece by piece."""

    def __init__(
        self, destination: Destination, routes: Mapping[str, str], most_bytes: int
    ) -> None:
        super().__init__(routes)
        self._destination = destination
        self._most_bytes = most_bytes
        self._waiting: list[bytes] = []
        self._size = 0

    def begin(self, position: int, last: str | None) -> None:
        """Nothing to do: what was sent stays."""

    def _add(self, piece: bytes) -> None:
        """Send it with others, as soon as there is enough."""
        self._waiting.append(piece)
        self._size += len(piece)
        if self._size >= self._most_bytes:
            self.flush()

    def flush(self) -> int:
        """Send what waits. Raises HandOverError when it is not taken."""
        if self._waiting:
            body = b"".join(self._waiting)
            self._waiting, self._size = [], 0
            answer = self._post(body)
            if not 200 <= answer.status < 300:
                raise HandOverError(f"{self._destination.label}: {answer.text}")
        return 0

    def _post(self, body: bytes) -> Answer:
        raise NotImplementedError

    def end(self) -> None:
        """Everything was sent."""

    def close(self) -> None:
        """Every request has a connection of its own."""


class VictoriaMetricsImport(_Posting):
    """A `Receiver`: VictoriaMetrics' `/api/v1/import`, which takes a series twice as once."""

    def __init__(self, destination: Destination, routes: Mapping[str, str]) -> None:
        super().__init__(destination, routes, _BYTES_A_POST)

    def take(self, series: Past, totals: Totals) -> int:
        """Send one series, as soon as there is enough."""
        points = 0
        for line in self.lines(series, totals):
            for first in range(0, len(line.times), _POINTS_A_LINE):
                self._add(_json_of(line, slice(first, first + _POINTS_A_LINE)))
            points += len(line.times)
        return points

    def _post(self, body: bytes) -> Answer:
        headers = {**_JSON, **authorization(self._destination)}
        return post(self._destination, f"{self._destination.path}{_IMPORT}", body, headers)


class RemoteWrite(_Posting):
    """A `Receiver`: an address that takes Prometheus' remote write, and old samples by it."""

    def __init__(self, destination: Destination, routes: Mapping[str, str]) -> None:
        super().__init__(destination, routes, _BYTES_A_WRITE)

    def take(self, series: Past, totals: Totals) -> int:
        """Send one series, as soon as there is enough."""
        points = 0
        moments: list[bytes] = []
        times: list[int] | None = None
        for line in self.lines(series, totals):
            if line.times is not times:  # the lines of a histogram share them
                times, moments = line.times, remote_write.timestamps(line.times)
            for first in range(0, len(moments), _SAMPLES_A_SERIES):
                piece = slice(first, first + _SAMPLES_A_SERIES)
                self._add(
                    remote_write.series(line.name, line.labels, line.values[piece], moments[piece])
                )
            points += len(moments)
        return points

    def _post(self, body: bytes) -> Answer:
        framed = remote_write.framed(body)
        headers = {**remote_write.HEADERS, **authorization(self._destination)}
        return post(self._destination, self._destination.path, framed, headers)


def _json_of(line: Line, piece: slice) -> bytes:
    document = {
        "metric": {"__name__": line.name, **dict(line.labels)},
        "values": line.values[piece],
        "timestamps": [time * 1_000 for time in line.times[piece]],
    }
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"
