"""Diamond's collectors run as they are: its base class, its configuration, a folder of files."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor import diamond
from inapp_monitor.collectors.diamond import adapted, config_file, convertor, python2_source
from inapp_monitor.collectors.diamond.folder import Folder, read_configuration
from inapp_monitor.ground.exceptions import ConfigError
from inapp_monitor.testing import collected

#: In the manner of 2012: syntax and modules that Python 3 has no longer.
OLD = '''# coding=utf-8
"""Counts things."""
import os
import subprocess
import urllib2
from StringIO import StringIO

import diamond.collector
from diamond.collector import str_to_bool
import xml.etree.cElementTree as ElementTree
import helper


class OldCollector(diamond.collector.Collector):

    def get_default_config(self):
        config = super(OldCollector, self).get_default_config()
        config.update({'path': 'old', 'percore': 'True'})
        return config

    def collect(self):
        values = {'a': 7, 'b': 2}
        for name, value in values.iteritems():
            self.publish(name, value / 2)
        if values.has_key('a') and str_to_bool(self.config['percore']):
            self.publish('first', len(values.keys()[0]), precision=2)
        out = subprocess.Popen(['echo', '5 6'], stdout=subprocess.PIPE).communicate()[0]
        self.publish('echo', sum(map(long, out.split())))
        self.publish('text', '%.4f' % 0.5, precision=4)
        self.publish('helped', helper.helped(unicode('x')))
        try:
            urllib2.urlopen('http://127.0.0.1:1/', timeout=1)
        except (urllib2.URLError, OSError), error:
            self.publish('failed', isinstance(error, Exception) and 1 or 0)
        try:
            raise IOError('x')
        except IOError, e:
            self.log.debug(e)
        half = 9
        half /= 2
        self.publish('half', half)
        self.publish('xml', len(ElementTree.fromstring('<a><b/><b/></a>')))
        self.publish('max', sys_maxint() > 2 ** 40 and 1 or 0)


def sys_maxint():
    import sys
    return sys.maxint
'''
HELPER = "def helped(text):\n    return len(text) if isinstance(text, basestring) else 0\n"
BROKEN = "import diamond.collector\nprint 'never'\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    base = tmp_path / "collectors"
    for name, text in (("old", OLD), ("helper", HELPER), ("broken", BROKEN)):
        (base / name).mkdir(parents=True)
        (base / name / f"{name}.py").write_text(text)
    (base / "old" / "test").mkdir()
    (base / "old" / "test" / "testold.py").write_text(OLD.replace("Old", "Test"))
    return base


def load(base: Path, config: dict[str, Any] | None = None) -> adapted.DiamondCollector:
    files = Folder(base)
    (found,) = [each for each in files.find() if each.name == "OldCollector"]
    return adapted.DiamondCollector(files.load(found)(config or {}), 10.0)


def test_an_old_collector_runs_as_it_is(folder: Path) -> None:
    """Python 2's division, names and modules; commands give texts."""
    collector = load(folder, {"collectors": {"default": {"hostname": "web1"}}})
    assert collected(collector) == {
        "servers.web1.old.a": 3.0,
        "servers.web1.old.b": 1.0,
        "servers.web1.old.first": 1.0,
        "servers.web1.old.echo": 11.0,
        "servers.web1.old.text": 0.5,
        "servers.web1.old.helped": 1.0,
        "servers.web1.old.failed": 1.0,
        "servers.web1.old.half": 4.0,
        "servers.web1.old.xml": 2.0,
        "servers.web1.old.max": 1.0,
    }


def test_the_app_meets_none_of_these_modules(folder: Path) -> None:
    """Nothing is put where the app would import it."""
    collected(load(folder))
    assert not {"diamond", "urllib2", "StringIO", "helper", "old"} & set(sys.modules)
    assert not hasattr(__builtins__, "basestring")


def test_what_there_is_in_a_folder(folder: Path) -> None:
    """Collectors by name, without running anything; a file that cannot be read is one, too."""
    assert [found.name for found in Folder(folder).find()] == ["BrokenCollector", "OldCollector"]
    files = Folder(folder)
    with pytest.raises(SyntaxError, match="print"):
        files.load(files.find()[0])
    with pytest.raises(ConfigError, match="no such folder"):
        Folder(folder / "nowhere")


def test_a_configuration_says_what_is_enabled_and_how(folder: Path, tmp_path: Path) -> None:
    """`diamond.conf`, and a file a collector."""
    config = tmp_path / "diamond.conf"
    config.write_text(
        "[server]\ncollectors_config_path = conf.d\n[collectors]\n"
        "[[default]]\nhostname = web1\ninterval = 20\n[[OldCollector]]\nenabled = True\n"
    )
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "OldCollector.conf").write_text("path = renamed\npercore = no\n")
    (candidate,) = adapted.candidates(folder, config, 10.0)
    collector = candidate.load()
    assert collector.interval_s == 20.0
    assert "servers.web1.renamed.a" in collected(collector)
    assert "servers.web1.renamed.first" not in collected(collector)
    assert len(adapted.candidates(folder, None, 10.0)) == 2
    with pytest.raises(ConfigError):
        read_configuration(tmp_path / "missing.conf")


def test_a_folder_may_be_loaded_by_hand(folder: Path) -> None:
    """Ready for `Monitor(collectors=...)`."""
    (folder / "broken" / "broken.py").unlink()
    (collector,) = diamond.load(folder, interval_s=15)
    assert (collector.name, collector.interval_s) == ("diamond.OldCollector", 15.0)


# -- the contract


class Sample(diamond.Collector):
    def collect(self) -> None:
        self.publish("one", 1)


def sample(**config: Any) -> diamond.Collector:
    return Sample({"collectors": {"Sample": {"hostname": "web1", **config}}})


def test_paths_are_those_of_diamond() -> None:
    """Prefix, host, suffix, path and name; of an instance its own prefix."""
    assert sample().get_metric_path("x") == "servers.web1.Sample.x"
    assert sample(path="p").get_metric_path("x") == "servers.web1.p.x"
    assert sample(path=".").get_metric_path("x") == "servers.web1.x"
    assert sample(path_prefix="", path="p").get_metric_path("x") == "web1.p.x"
    assert sample(path_suffix="s", path="p").get_metric_path("x") == "servers.web1.s.p.x"
    assert sample(path="p").get_metric_path("x", instance="i") == "instances.i.p.x"
    assert sample(path=".").get_metric_path("x", instance="i") == "instances.i.x"


def test_names_may_be_chosen() -> None:
    """By one expression, of wanted or of unwanted ones."""
    got: list[str] = []

    class Handler:
        def _process(self, metric: diamond.Metric) -> None:
            got.append(metric.path)

    for config in ({"metrics_whitelist": "^a"}, {"metrics_blacklist": "^b"}):
        collector = sample(**config)
        collector.handlers = [Handler()]
        collector.publish("apple", 1)
        collector.publish("banana", 1)
    assert got == ["servers.web1.Sample.apple"] * 2
    with pytest.raises(diamond.DiamondException, match="Both"):
        sample(metrics_whitelist="a", metrics_blacklist="b")


def test_a_derivative_is_by_the_time_that_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first is 0; a total that went back has passed its maximum."""
    now = [1_000.0]
    from inapp_monitor.collectors.diamond import contract

    monkeypatch.setattr(contract.SYSTEM, "perf", lambda: now[0])
    collector = sample(interval=10)
    assert collector.derivative("x", 100) == 0
    now[0] += 20.0
    assert collector.derivative("x", 200) == 5.0
    now[0] += 10.0
    assert collector.derivative("x", 50, max_value=250) == 10.0
    now[0] += 10.0
    assert collector.derivative("x", 40) == 0
    now[0] += 10.0
    assert collector.derivative("x", 30, allow_negative=True) == -1.0
    assert collector.derivative("x", 31, time_delta=False) == 1.0
    assert collector.derivative("x", 41, interval=5) == 2.0


def test_a_metric_is_checked() -> None:
    """Numbers may be texts; nothing else is taken."""
    assert diamond.Metric("a.b", "1.6", precision=0).value == 2.0
    assert diamond.Metric("a.b", "1.6", precision=2).value == 1.6
    assert repr(diamond.Metric("a.b", 1.25, timestamp=10, precision=1)) == "a.b 1.2 10\n"
    metric = diamond.Metric("servers.web1.cpu.total.idle", 1, host="web1")
    assert (metric.getPathPrefix(), metric.getCollectorPath(), metric.getMetricPath()) == (
        *("servers", "cpu"),
        "total.idle",
    )
    for bad in ((None, 1), ("a", None), ("a", "x"), ("a", [1])):
        with pytest.raises(diamond.DiamondException):
            diamond.Metric(*bad)  # type: ignore[arg-type]
    with pytest.raises(diamond.DiamondException):
        diamond.Metric("a", 1, metric_type="NONE")


def test_a_command_is_run_and_given_up(tmp_path: Path) -> None:
    """Its output is text; one that cannot be run is no value."""

    class Command(diamond.ProcessCollector):
        def collect(self) -> None: ...

    collector = Command({"collectors": {"Command": {"bin": "/bin/echo"}}})
    assert collector.run_command(["a", "b"]) == ("a b\n", None)
    with pytest.raises(diamond.DiamondException, match="binary"):
        Command({}).run_command([])
    with pytest.raises(diamond.DiamondException, match="not executable"):
        Command({"collectors": {"Command": {"bin": str(tmp_path / "no")}}}).run_command([])


def test_a_class_of_ones_own_runs_in_a_monitor() -> None:
    """`adapt` makes a collector of it."""
    collector = diamond.adapt(Sample, {"hostname": "web1", "interval": 15})
    assert collector.interval_s == 15.0
    assert collected(collector) == {"servers.web1.Sample.one": 1.0}


ASKS = """
import socket
import diamond.collector


class AskCollector(diamond.collector.Collector):
    def collect(self):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.connect(('127.0.0.1', int(self.config['port'])))
        sock.send('stats\\n')
        for line in sock.recv(4096).split('\\n'):
            if line.startswith('STAT '):
                _, name, value = line.split(' ')
                self.publish(name, value)
        sock.close()
"""


def test_a_collector_that_asks_a_server_gets_texts(tmp_path: Path) -> None:
    """As memcached's: what is sent and received are strings."""
    (tmp_path / "ask.py").write_text(ASKS)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            assert client.recv(100) == b"stats\n"
            client.sendall(b"STAT hits 7\nEND\n")
            client.close()

        thread = threading.Thread(target=serve)
        thread.start()
        files = Folder(tmp_path)
        config = {"port": server.getsockname()[1], "hostname": "web1", "path": "ask"}
        inner = files.load(files.find()[0])({"collectors": {"AskCollector": config}})
        assert collected(adapted.DiamondCollector(inner)) == {"servers.web1.ask.hits": 7.0}
        thread.join()


def test_reserved_names_stay_the_monitors() -> None:
    """No prefix leads among the monitor's own series."""
    with pytest.raises(ValueError, match="reserved"):
        collected(diamond.adapt(Sample, {"path_prefix": "requests", "hostname": "web1"}))


def test_units() -> None:
    """Of sizes by 1,024, of times."""
    convert = convertor.binary.convert
    assert convert(1, "kB", "byte") == 1024.0
    assert convert(2, "megabyte", "kilobyte") == 2048.0
    assert convert(8, "bit", "byte") == 1.0
    assert convert(1, "KiB", "B") == 1024.0
    assert convert(value="3", oldUnit="GB", newUnit="MB") == 3072.0
    assert convertor.time.convert(90, "s", "minutes") == 1.5
    assert convertor.time.convert(1, "h", "ms") == 3_600_000.0
    assert convertor.camelcase_to_underscore("someNameHTTP") == "some_name_http"
    for bad in ("parsec", "xB"):
        with pytest.raises(NotImplementedError):
            convert(1, bad, "byte")


# -- configuration files


def test_the_syntax_of_diamonds_files() -> None:
    """Sections within sections, lists, quotes, comments."""
    text = """
# a comment
[collectors]
[[default]]
path_prefix = ""   # nothing
[[DiskSpaceCollector]]
filesystems = ext4, xfs,
exclude_filters = '^/boot', "a,b"
empty =
single = one
[server]
user = diamond
"""
    parsed = config_file.parse(text, "x")
    disk = parsed["collectors"]["DiskSpaceCollector"]
    assert disk == {
        "filesystems": ["ext4", "xfs"],
        "exclude_filters": ["^/boot", "a,b"],
        "empty": "",
        "single": "one",
    }
    assert parsed["collectors"]["default"]["path_prefix"] == ""
    assert parsed["server"] == {"user": "diamond"}
    assert config_file.Section(on="yes").as_bool("on") is True
    for bad in ("[[a]]\n", "[a]\n[[[b]]]\n", "no equals\n"):
        with pytest.raises(ConfigError, match="line"):
            config_file.parse(bad, "x")


@settings(max_examples=50, deadline=None)
@given(st.text(st.sampled_from("ab[]=#,\"' \n"), max_size=40))
def test_no_file_breaks_the_parser(text: str) -> None:
    """Sections, or an error that names the line."""
    try:
        config_file.parse(text, "x")
    except ConfigError as error:
        assert "line" in str(error)


def test_division_is_that_of_the_file() -> None:
    """`from __future__ import division` is respected."""
    space: dict[str, Any] = {"__builtins__": python2_source.BUILTINS}
    exec(python2_source.compiled("a = 3 / 2\nb = 3.0 / 2\nc = round(2.5)\n", "x"), space)
    assert (space["a"], space["b"], space["c"]) == (1, 1.5, 3.0)
    source = "from __future__ import division\na = 3 / 2\n"
    exec(python2_source.compiled(source, "x"), space)
    assert space["a"] == 1.5


logging.getLogger("diamond").addHandler(logging.NullHandler())
