"""What Diamond's collectors are written against: `Collector`, `ProcessCollector`, `Metric`.

The names, arguments and results are those of Diamond 4 (https://github.com/python-diamond/Diamond);
the text is our own. One thing is better: a derivative is divided by the time that has really
passed. Nothing here knows the monitor: metrics go to `handlers`.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from inapp_monitor.collectors.diamond.config_file import Section, parse
from inapp_monitor.ground.clock import SYSTEM

#: The largest value of a counter of this machine.
MAX_COUNTER: Final = 2**64 - 1 if platform.architecture()[0] == "64bit" else 2**32 - 1
#: A command may run for so long.
COMMAND_LIMIT_S: Final = 30.0
_BINARY_FOLDERS = ("/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/sbin", "/usr/local/sbin")
_TRUE = ("true", "t", "yes", "y")
_FALSE = ("false", "f", "no", "n", "")


class DiamondException(Exception):  # noqa: N818  # Diamond's name
    """A metric or a configuration that cannot be used."""


def str_to_bool(value: Any) -> Any:
    """A text such as `yes` as True or False; anything else as it is.

    Raises:
        NotImplementedError: a text that is neither, as Diamond does.
    """
    if not isinstance(value, str):
        return value
    word = value.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise NotImplementedError(f"Unknown bool {value}")


def get_hostname(config: Mapping[str, Any], method: str | None = None) -> str | None:
    """The name of this machine by `hostname` or `hostname_method` of a configuration.

    Raises:
        DiamondException: there is no name. NotImplementedError: an unknown method.
    """
    method = str(method or config.get("hostname_method", "smart")).lower()
    if "hostname" in config and method != "shell":
        return str(config["hostname"])
    if method == "none":
        return None
    if method == "smart":
        name = socket.getfqdn().split(".")[0]
        return name if name != "localhost" else socket.gethostname().split(".")[0]
    if method == "shell":
        if "hostname" not in config:
            raise DiamondException("hostname must be a shell command for hostname_method=shell")
        done = subprocess.run(  # noqa: S602  # the administrator's own command
            str(config["hostname"]), shell=True, check=True, capture_output=True, text=True,
            timeout=COMMAND_LIMIT_S,
        )  # fmt: skip
        name = done.stdout.strip()
    elif method in _HOST_NAMES:
        name = _HOST_NAMES[method]()
    else:
        raise NotImplementedError(f"hostname_method {method!r}")
    if not name:
        raise DiamondException(f"this machine has no name by hostname_method={method}")
    return name


def _section_of(given: Any) -> Mapping[str, Any]:
    """What a collector calls its defaults: of some it is None."""
    return given if isinstance(given, Mapping) else {}


def _reversed(name: str) -> str:
    return ".".join(reversed(name.split(".")))


_HOST_NAMES: Final[Mapping[str, Callable[[], str]]] = {
    "fqdn_short": lambda: socket.getfqdn().split(".")[0],
    "fqdn": lambda: socket.getfqdn().replace(".", "_"),
    "fqdn_rev": lambda: _reversed(socket.getfqdn()),
    "uname_short": lambda: os.uname()[1].split(".")[0],
    "uname_rev": lambda: _reversed(os.uname()[1]),
    "hostname": socket.gethostname,
    "hostname_short": lambda: socket.gethostname().split(".")[0],
    "hostname_rev": lambda: _reversed(socket.gethostname()),
}


class Metric:
    """One value: `path`, `value`, `raw_value`, `timestamp` (whole seconds), `precision`, `host`,
    `metric_type` (GAUGE or COUNTER), `ttl`.

    Raises:
        DiamondException: no path or value, an unknown type, or a value that is no number.
    """

    __slots__ = (
        *("path", "value", "raw_value", "timestamp", "precision"),
        *("host", "metric_type", "ttl"),
    )

    def __init__(
        self,
        path: str,
        value: Any,
        raw_value: Any = None,
        timestamp: Any = None,
        precision: int = 0,
        host: str | None = None,
        metric_type: str = "COUNTER",
        ttl: float | None = None,
    ) -> None:
        given: list[Any] = [path, value]  # anybody's collector may give anything
        if None in given or metric_type not in ("COUNTER", "GAUGE"):
            raise DiamondException(f"bad metric: path={path!r} value={value!r} {metric_type!r}")
        try:
            moment = int(SYSTEM.wall() if timestamp is None else timestamp)
            if not isinstance(value, (int, float)):
                value = float(value) if precision else float(round(float(value)))
        except (TypeError, ValueError, OverflowError) as error:
            raise DiamondException(f"bad metric {path!r}: {error}") from error
        self.path, self.value, self.raw_value = path, value, raw_value
        self.timestamp, self.precision = moment, precision
        self.host, self.metric_type, self.ttl = host, metric_type, ttl

    def __repr__(self) -> str:
        given: Any = self.precision  # anybody's collector may give anything
        precision = given if isinstance(given, int) else 0
        return f"{self.path} {self.value:.{precision}f} {self.timestamp}\n"

    @classmethod
    def parse(cls, string: str) -> Metric:
        """A metric from a line of Carbon. Raises DiamondException when it is none."""
        found = re.match(r"^([A-Za-z0-9.\-_]+)\s+([0-9.]+)\s+([0-9.]+)(\n?)$", string)
        if found is None:
            raise DiamondException(f"Metric could not be parsed from string: {string}.")
        return cls(found[1], found[2], timestamp=float(found[3]))

    # Diamond's names.
    def getPathPrefix(self) -> str:  # noqa: N802
        """What stands before the host: `servers` of `servers.web1.cpu.total.idle`."""
        if self.host is None:
            return self.path.split(".")[0]
        return self.path[: self.path.index(self.host) - 1]

    def getCollectorPath(self) -> str:  # noqa: N802
        """What stands behind the host: `cpu` of `servers.web1.cpu.total.idle`."""
        if self.host is None:
            return self.path.split(".")[2]
        begin = self.path.index(self.host) + len(self.host) + 1
        return self.path[begin : self.path.index(".", begin)]

    def getMetricPath(self) -> str:  # noqa: N802
        """What stands behind the collector: `total.idle` of `servers.web1.cpu.total.idle`."""
        if self.host is None:
            return ".".join(self.path.split(".")[3:])
        before = [self.getPathPrefix(), self.host, self.getCollectorPath()]
        return self.path[len(".".join(before)) + 1 :]


class Collector:
    """Diamond's base class: subclass it, and `publish` in `collect`.

    Args:
        config: Sections as `diamond.conf` has them; `collectors`, then `default` and its own.
        handlers: What metrics go to: objects with `_process(metric)` and `_flush()`.
        name: Its section's name; default: the class's.
        configfile: A file to read the sections from.
    """

    def __init__(
        self,
        config: Mapping[str, Any] | None = None,
        handlers: Sequence[Any] = (),
        name: str | None = None,
        configfile: str | None = None,
    ) -> None:
        self.log = logging.getLogger("diamond")
        self.name = type(self).__name__ if name is None else name
        self.handlers = handlers
        self.last_values: dict[str, Any] = {}
        self._last_moments: dict[str, float] = {}
        self.configfile = configfile
        self.config = Section()
        self.load_config(configfile, config)

    def load_config(
        self, configfile: str | None = None, override_config: Mapping[str, Any] | None = None
    ) -> None:
        """Its defaults, then the sections of a file, then those given."""
        self.config = Section()
        defaults: Any = self.get_default_config()  # of some collectors it is None
        self.config.merge(defaults or {})
        self.configfile = configfile or self.configfile
        if self.configfile is not None:
            path = Path(self.configfile)
            self._merge_sections(parse(path.read_text("utf-8", "replace"), str(path)))
        if override_config is not None:
            self._merge_sections(override_config)
        self.process_config()

    def _merge_sections(self, config: Mapping[str, Any]) -> None:
        sections = config.get("collectors", {})
        self.config.merge(sections.get("default", {}))
        self.config.merge(sections.get(self.name, {}))

    def process_config(self) -> None:
        """Called whenever the configuration was read: texts become what they stand for."""
        config = self.config
        if isinstance(config.get("byte_unit"), str):
            config["byte_unit"] = config["byte_unit"].split()
        for name in ("enabled", "measure_collector_time"):
            if name in config:
                config[name] = str_to_bool(config[name])
        if config.get("metrics_whitelist") and config.get("metrics_blacklist"):
            raise DiamondException(
                f"Both metrics_whitelist and metrics_blacklist specified in file {self.configfile}"
            )
        for name in ("metrics_whitelist", "metrics_blacklist"):
            if config.get(name):
                config[name] = re.compile(config[name])

    def get_default_config_help(self) -> dict[str, str]:
        """What the options mean."""
        return {
            "enabled": "Whether it runs",
            "byte_unit": "Units that sizes are published in",
            "measure_collector_time": "Publish how long a run takes, in ms",
            "metrics_whitelist": "Expression that names must match to be published",
            "metrics_blacklist": "Expression of names that are not published",
        }

    def get_default_config(self) -> dict[str, Any]:
        """The options that every collector has."""
        return {
            "enabled": False,
            "path_prefix": "servers",
            "instance_prefix": "instances",
            "path_suffix": "",
            "interval": 300,
            "ttl_multiplier": 2,
            "byte_unit": "byte",
            "measure_collector_time": False,
            "metrics_whitelist": None,
            "metrics_blacklist": None,
        }

    def get_metric_path(self, name: str, instance: str | None = None) -> str:
        """`prefix.host.suffix.path.name`; of an instance `instances.instance.path.name`."""
        config = self.config
        path = config["path"] if "path" in config else type(self).__name__
        nodes = [] if path == "." or not path else [path]
        if instance is not None:
            before = [config.get("instance_prefix", "instances"), instance]
        else:
            host = self.get_hostname()
            before = [config.get("path_prefix", "systems"), host, config.get("path_suffix")]
        return ".".join([*(str(node) for node in before if node), *nodes, name])

    def get_hostname(self) -> str | None:
        """The name of this machine, as configured."""
        return get_hostname(self.config)

    def collect(self) -> Any:
        """Publish what is to be known now."""
        raise NotImplementedError

    def publish(
        self,
        name: str,
        value: Any,
        raw_value: Any = None,
        precision: int = 0,
        metric_type: str = "GAUGE",
        instance: str | None = None,
        timestamp: Any = None,
    ) -> None:
        """Publish a value, unless its name is not wanted."""
        wanted, unwanted = self.config["metrics_whitelist"], self.config["metrics_blacklist"]
        if wanted and not wanted.match(name):
            return
        if not wanted and unwanted and unwanted.match(name):
            return
        ttl = float(self.config["interval"]) * float(self.config["ttl_multiplier"])
        path = self.get_metric_path(name, instance=instance)
        self.publish_metric(
            Metric(path, value, raw_value, timestamp, precision, self.get_hostname(),
                   metric_type, ttl)
        )  # fmt: skip

    def publish_metric(self, metric: Metric) -> None:
        """Hand a metric to the handlers."""
        for handler in self.handlers:
            handler._process(metric)

    def publish_gauge(
        self, name: str, value: Any, precision: int = 0, instance: str | None = None
    ) -> None:
        """Publish a gauge."""
        self.publish(name, value, precision=precision, metric_type="GAUGE", instance=instance)

    def publish_counter(
        self,
        name: str,
        value: Any,
        precision: int = 0,
        max_value: Any = 0,
        time_delta: bool = True,
        interval: float | None = None,
        allow_negative: bool = False,
        instance: str | None = None,
    ) -> None:
        """Publish how fast a total grows, by the second."""
        rate = self.derivative(name, value, max_value, time_delta, interval, allow_negative,
                               instance)  # fmt: skip
        self.publish(name, rate, value, precision, "COUNTER", instance)

    def derivative(
        self,
        name: str,
        new: Any,
        max_value: Any = 0,
        time_delta: bool = True,
        interval: float | None = None,
        allow_negative: bool = False,
        instance: str | None = None,
    ) -> float:
        """How fast a total grows: 0 for the first one; a lower one has passed `max_value`.

        Divided by `interval` when given, else by the seconds since the last call for this name;
        by nothing when `time_delta` is false.
        """
        path = self.get_metric_path(name, instance=instance)
        now = SYSTEM.perf()
        before, passed_s = self.last_values.get(path), now - self._last_moments.get(path, now)
        self.last_values[path], self._last_moments[path] = new, now
        if before is None:
            return 0
        grown = float(new - (before - max_value if new < before else before))
        if time_delta:
            grown /= interval or passed_s or float(self.config["interval"])
        return grown if grown >= 0 or allow_negative else 0

    def _run(self) -> None:
        begin = SYSTEM.perf()
        try:
            self.collect()
            if self.config.get("measure_collector_time"):
                self.publish("collector_time_ms", int((SYSTEM.perf() - begin) * 1000))
        finally:
            for handler in self.handlers:
                handler._flush()

    def find_binary(self, binary: str) -> str:
        """Where a program is; its name as given when it is nowhere."""
        if Path(binary).exists():
            return binary
        folders = [*os.environ.get("PATH", "").split(":"), *_BINARY_FOLDERS]
        found = (Path(folder) / Path(binary).name for folder in folders if folder)
        return next((str(path) for path in found if path.exists()), binary)


class ProcessCollector(Collector):
    """A collector that runs a command, named by `bin` of its configuration."""

    def get_default_config_help(self) -> dict[str, str]:
        return {
            **super().get_default_config_help(),
            "use_sudo": "Whether to run it by sudo",
            "sudo_cmd": "Path of sudo",
        }

    def get_default_config(self) -> dict[str, Any]:
        sudo = self.find_binary("/usr/bin/sudo")
        return {**super().get_default_config(), "use_sudo": False, "sudo_cmd": sudo}

    def run_command(self, args: list[str]) -> tuple[str, None] | None:
        """Run the command. Returns its output as text; None when it cannot be run or ends too late.

        Raises:
            DiamondException: no `bin`, or it is not executable.
        """
        if "bin" not in self.config:
            raise DiamondException("config does not have any binary configured")
        if not os.access(self.config["bin"], os.X_OK):
            raise DiamondException(f"{self.config['bin']} is not executable")
        command = [self.config["bin"], *args]
        if str_to_bool(self.config["use_sudo"]):
            command.insert(0, self.config["sudo_cmd"])
        try:
            done = subprocess.run(  # noqa: S603  # the administrator's own command
                command, stdout=subprocess.PIPE, check=False, text=True, errors="surrogateescape",
                timeout=COMMAND_LIMIT_S,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            self.log.warning("cannot run %s", command, exc_info=True)
            return None
        return done.stdout, None
