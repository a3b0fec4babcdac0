"""Polls a munin-node: its plugins' values become series `munin.NODE.PLUGIN.FIELD`.

Titles, units and the ranges that Munin warns outside of are kept beside the series. A node is
asked over one connection a run, with limits on time and size; a plugin that fails costs only its
own values.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Final

from inapp_monitor.collectors import munin_protocol
from inapp_monitor.collectors.base import Collector
from inapp_monitor.collectors.munin_protocol import Field, Graph, Value
from inapp_monitor.ground.clock import SYSTEM, Clock
from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.ground.names import clean_node
from inapp_monitor.ground.series_description import Description

DEFAULT_PORT: Final = 4949
#: Seconds until a node must have taken the connection, or sent a further line.
WAIT_S: Final = 10.0
#: Seconds that a run may take.
RUN_S: Final = 60.0
MAX_PLUGINS: Final = 300
MAX_ANSWER_BYTES: Final = 2**18
#: Configurations are asked for again after so many runs.
_CONFIGURATION_RUNS: Final = 30


class MuninError(OSError):
    """A node did not answer as one does."""


class MuninNode(Collector):
    """One node. Its names are others': they must not fill the disk's share of the app's own.

    Args:
        address: `HOST` or `HOST:PORT`.
        interval_s: Seconds between two runs.

    Raises:
        ConfigError: the address cannot be understood.
        OSError: the node does not answer: its name is what it calls itself.
    """

    max_names = 500

    def __init__(self, address: str, interval_s: float, clock: Clock = SYSTEM) -> None:
        self._address = parse_address(address)
        self._clock = clock
        self.interval_s = interval_s
        with _Connection(self._address, clock) as node:
            called = node.name
        self.name = f"munin.{clean_node(called or self._address[0])}"
        self._runs = 0
        self._graphs: dict[str, Graph] = {}
        self._totals: dict[str, tuple[float, float]] = {}

    def collect(self) -> None:
        """Fetch all plugins. Raises MuninError when none of them answered."""
        with _Connection(self._address, self._clock) as node:
            plugins = node.plugins()
            if self._runs % _CONFIGURATION_RUNS == 0:
                self._graphs = {}
            self._runs += 1
            failed = [plugin for plugin in plugins if not self._collect(node, plugin)]
        if plugins and len(failed) == len(plugins):
            raise MuninError(f"no plugin of {self.name} has answered: {', '.join(failed[:5])}")

    def _collect(self, node: _Connection, plugin: str) -> bool:
        if not any(name.partition(".")[0] == plugin for name in self._graphs):
            for graph in node.configuration(plugin):
                self._graphs[graph.name] = graph
                self._describe(graph)
        values = node.values(plugin)
        for value in values:
            self._publish(value)
        return bool(values)

    def _describe(self, graph: Graph) -> None:
        for name, described in graph.fields.items():
            self.describe(
                f"{graph.name}.{name}",
                Description(
                    title=graph.title,
                    label=described.label or name,
                    unit=graph.unit,
                    text=described.info,
                    warning=described.warning,
                    critical=described.critical,
                    source=self.name,
                ),
            )

    def _publish(self, value: Value) -> None:
        if value.value is None:
            return
        graph = self._graphs.get(value.graph)
        described = graph.fields.get(value.field) if graph is not None else None
        described = described or Field()
        name, now = f"{value.graph}.{value.field}", self._clock.perf()
        before = self._totals.get(name)
        if described.kind in munin_protocol.RATES:
            if before is None and len(self._totals) >= self.max_names:
                return
            self._totals[name] = (value.value, now)
        total, moment = (None, now - self.interval_s) if before is None else before
        rate = munin_protocol.rate(described.kind, total, value.value, now - moment, described)
        if rate is not None:
            self.gauge(name, rate, "average")


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST`, `HOST:PORT` or `[IPV6]:PORT`. Raises ConfigError."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(DEFAULT_PORT)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ConfigError(f"munin = {text!r}: expected HOST or HOST:PORT")
    return host, int(port)


class _Connection:
    """One conversation with a node."""

    def __init__(self, address: tuple[str, int], clock: Clock) -> None:
        self._clock = clock
        self._ends = clock.perf() + RUN_S
        self._socket = socket.create_connection(address, WAIT_S)
        try:
            self._socket.settimeout(WAIT_S)
            self._file = self._socket.makefile("rb")
            self.name = munin_protocol.node_name(self._line())
            if not self.name:
                raise MuninError(f"{address[0]}:{address[1]} is no munin-node")
            self._ask("cap multigraph")
            self._line()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._ask("quit")
        except OSError:
            pass
        self._file.close()
        self._socket.close()

    def plugins(self) -> list[str]:
        """The names of all plugins of all nodes that it speaks for."""
        self._ask("nodes")
        names: dict[str, None] = {}
        for node in list(self._answer()):
            self._ask(f"list {node.strip()}")
            names.update(dict.fromkeys(self._line().split()))
        return list(names)[:MAX_PLUGINS]

    def configuration(self, plugin: str) -> list[Graph]:
        """What a plugin says of its graphs."""
        self._ask(f"config {plugin}")
        return munin_protocol.parse_config(plugin, list(self._answer()))

    def values(self, plugin: str) -> list[Value]:
        """What a plugin measures."""
        self._ask(f"fetch {plugin}")
        return munin_protocol.parse_values(plugin, list(self._answer()))

    def _ask(self, command: str) -> None:
        self._socket.sendall(command.encode() + b"\n")

    def _answer(self) -> Iterator[str]:
        """The lines of an answer, without the dot that ends it."""
        size = 0
        while (line := self._line()) != ".":
            size += len(line)
            if size > MAX_ANSWER_BYTES:
                raise MuninError(f"{self.name} sends more than {MAX_ANSWER_BYTES} bytes at once")
            yield line

    def _line(self) -> str:
        if self._clock.perf() > self._ends:
            raise MuninError(f"a run has taken more than {RUN_S:.0f} s")
        line = self._file.readline(MAX_ANSWER_BYTES)
        if not line.endswith(b"\n"):
            raise MuninError("the node has closed the connection")
        return line.decode("utf-8", "replace").rstrip("\r\n")
