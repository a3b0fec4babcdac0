"""Hands portions to a receiver of Prometheus' remote write, as totals that grow.

5xx and 429 are tried again, any other refusal is final. Specification:
prometheus.io/docs/specs/prw/remote_write_spec
"""

from __future__ import annotations

from typing import Final

from inapp_monitor.export import remote_write
from inapp_monitor.export.channel import LaterError, RefusedError
from inapp_monitor.export.http_calls import authorization, post
from inapp_monitor.export.identity import Identity
from inapp_monitor.export.metric_names import Metric, metrics_of
from inapp_monitor.export.past import Past
from inapp_monitor.export.past_samples import lines_of
from inapp_monitor.export.portions import Portion
from inapp_monitor.export.progress_file import Written, ignore
from inapp_monitor.export.running_totals import Series
from inapp_monitor.export.sent_totals import SentTotals, totals_path
from inapp_monitor.export.totals import Totals
from inapp_monitor.ground.clock import SYSTEM, Clock
from inapp_monitor.ground.destination import Destination
from inapp_monitor.ground.ranges import Leaf
from inapp_monitor.ground.workers.route_names import RouteNames

_USUAL_PATH: Final = "/api/v1/write"
_TOO_MANY: Final = 429


class RemoteWriteSender:
    """A `Sender` for one destination; names are those of `/prometheus`."""

    def __init__(
        self,
        destination: Destination,
        identity: Identity,
        store: Series,
        clock: Clock = SYSTEM,
        written: Written = ignore,
    ) -> None:
        self._destination = destination
        self._store = store
        self._clock = clock
        self._routes = RouteNames(identity.data_dir)
        self._sent = SentTotals(totals_path(identity.data_dir, destination), written)
        self._metrics: dict[str, Metric] = {}
        self._leaves: dict[str, Leaf] = {}
        self._metrics_of: tuple[int, int] = (-1, 0)

    def send(self, portion: Portion) -> int:
        """Post a portion; raises as `Channel.send`."""
        totals = self._sent.before(portion)
        unsent = self._sent.unsent(portion)
        body = self._body(unsent, totals)
        if body:
            headers = {**remote_write.HEADERS, **authorization(self._destination)}
            path = self._destination.path or _USUAL_PATH
            answer = post(self._destination, path, remote_write.framed(body), headers)
            if answer.status == _TOO_MANY or answer.status >= 500:
                raise LaterError(answer.text, answer.retry_after_s(self._clock.wall()))
            if not 200 <= answer.status < 300:
                self._sent.note(totals, unsent)
                raise RefusedError(answer.text)
        self._sent.note(totals, unsent)
        return 0

    @property
    def counted_until(self) -> int | None:
        """The end of what the totals hold."""
        return self._sent.until

    def count(self, portion: Portion) -> None:
        """The receiver has a portion already."""
        totals = self._sent.before(portion)
        unsent = self._sent.unsent(portion)
        self._body(unsent, totals)
        self._sent.note(totals, unsent)

    def _body(self, portion: Portion, totals: Totals) -> bytes:
        """The series of a `WriteRequest`; the totals grow by the portion."""
        self._look_at_series()
        found: dict[str, Past] = {}
        paths = {number.path for number in portion.numbers}
        paths |= {counted.path for counted in portion.counted}
        for path in paths & self._metrics.keys():
            found[path] = Past(self._leaves[path])
        for number in portion.numbers:
            if number.path in found:
                row = number.timestamp, number.step_s, number.value
                found[number.path].numbers.append(row)
        for counted in portion.counted:
            if counted.path in found:
                one = counted.timestamp, counted.step_s, counted.histogram
                found[counted.path].histograms.append(one)
        pieces = []
        for path, past in found.items():
            for line in lines_of(past, self._metrics[path], totals):
                moments = remote_write.timestamps(line.times)
                pieces.append(remote_write.series(line.name, line.labels, line.values, moments))
        return b"".join(pieces)

    def _look_at_series(self) -> None:
        routes = self._routes.load()
        version = (self._store.generation, len(routes))
        if version != self._metrics_of:
            leaves = self._store.leaves()
            self._leaves = {leaf.path: leaf for leaf in leaves}
            self._metrics = metrics_of(leaves, routes)
            self._metrics_of = version

    def close(self) -> None:
        """Every portion has a connection of its own."""
