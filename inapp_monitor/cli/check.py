"""`inapp-monitor check`: verifies the files of a data directory, or is a Nagios plugin.

As a plugin it ends with 0 to 3 and prints one line with perfdata first, whatever happens: a
traceback would end with 1, which is WARNING.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from inapp_monitor import __version__
from inapp_monitor.cli import asking, data_directory, echo
from inapp_monitor.ground import config
from inapp_monitor.ground.clock import SYSTEM
from inapp_monitor.ground.exceptions import MonitorError
from inapp_monitor.ground.setting_values import parse_duration

_UNKNOWN = 3
_LONGEST_S = 86_400


class _Plugin(click.Command):
    """Wrong arguments are UNKNOWN, and so is a call for help, as Nagios's guidelines ask for."""

    def make_context(self, *arguments: Any, **further: Any) -> click.Context:
        """Read the arguments."""
        try:
            return super().make_context(*arguments, **further)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            _end(_UNKNOWN, f"UNKNOWN: {error.format_message()}")
            raise
        except click.exceptions.Exit as error:
            raise click.exceptions.Exit(error.exit_code or _UNKNOWN) from None


@click.command(cls=_Plugin, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("what", metavar="[DATA_DIR | RULE]", default="")
@click.option("--repair", is_flag=True, help="With DATA_DIR: mend what can be mended.")
@click.option("--all", "all_rules", is_flag=True, help="The worst of all rules.")
@click.option("--target", default="", help="A target of the query language, with -w and -c.")
@click.option("-w", "--warning", default=None, help="Range of --target, such as '~:300'; quote it.")
@click.option("-c", "--critical", default=None, help="Range of --target.")
@click.option(
    "--window", default="5min", show_default=True, help="Of --target: time that is averaged."
)
@click.option("-u", "--url", default="", help="Ask a dashboard, as http://127.0.0.1:8000/_metrics.")
@click.option("-a", "--token-file", default="", help="File with its token.")
@click.option("--data-dir", type=click.Path(path_type=Path), default=None, help="Read these files.")
@click.option("-t", "--timeout", default="10", show_default=True, help="Seconds, then UNKNOWN.")
@click.option("-H", "--hostname", default="", help="Not used; Nagios may give it.")
@click.option("-v", "--verbose", count=True, help="Not used.")
@click.version_option(__version__, "-V", "--version")
def check(what: str, repair: bool, **given: Any) -> None:
    """Verify the files of DATA_DIR (exit 0 when all are sound), or be a Nagios plugin for RULE.

    As a plugin: exit 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    """
    asks = given["all_rules"] or given["target"] or given["url"] or given["data_dir"] is not None
    if repair or (what and not asks and ("/" in what or Path(what).is_dir())):
        _verify(Path(what) if what else data_directory.settings_of(None).data_dir, repair)
        return
    _as_plugin(lambda: _answer(what, given), given["timeout"])


def _verify(data_dir: Path, repair: bool) -> None:
    from inapp_monitor.store.check import check_directory

    if not data_dir.is_dir():
        raise MonitorError(f"directory {str(data_dir)!r} does not exist")
    report = check_directory(data_dir, SYSTEM.wall(), repair=repair)
    for problem in report.problems:
        done = f" ({problem.repaired})" if problem.repaired else ""
        echo.line(f"{problem.file}: {problem.kind}: {problem.detail}{done}")
    if repair and not report.clean:
        report = check_directory(data_dir, SYSTEM.wall())
    echo.line(f"{report.files} files, {report.rows} rows, {len(report.problems)} problems")
    if not report.clean:
        raise SystemExit(1)


def _as_plugin(answer: Callable[[], tuple[int, str]], timeout: str) -> None:
    """Print an answer and end with its status; UNKNOWN after an error or without one in time."""
    try:
        timeout_s = parse_duration(timeout)
    except ValueError as error:
        _end(_UNKNOWN, f"UNKNOWN: -t must be {error}")
        return
    if not 0 < timeout_s <= _LONGEST_S:
        _end(_UNKNOWN, f"UNKNOWN: -t must be more than 0 and at most a day, got {timeout[:40]!r}")
        return
    found: list[tuple[int, str]] = []

    def run() -> None:
        try:
            found.append(answer())
        except BaseException as error:  # noqa: BLE001  # whatever it is, Nagios gets UNKNOWN
            text = str(error) if isinstance(error, MonitorError) else f"{error!r}"
            found.append((_UNKNOWN, f"UNKNOWN: {' '.join(text.split())[:500]}"))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        thread.join(timeout_s)
    except KeyboardInterrupt:
        found = [(_UNKNOWN, "UNKNOWN: interrupted")]
    _end(*(found[0] if found else (_UNKNOWN, f"UNKNOWN: no answer within {timeout} s")))


def _end(status: int, output: str) -> None:
    """Print and end at once: a thread that hangs must not keep the process."""
    encoding = sys.stdout.encoding or "utf-8"  # of a locale that may know few letters
    try:
        sys.stdout.write(output.encode(encoding, "replace").decode(encoding) + "\n")
        sys.stdout.flush()
    except (OSError, ValueError, LookupError):
        pass
    if threading.active_count() > 1 and "pytest" not in sys.modules:
        os._exit(status)
    raise SystemExit(status)


def _answer(what: str, given: dict[str, Any]) -> tuple[int, str]:
    from inapp_monitor.alerts import plugin
    from inapp_monitor.alerts.range import Range

    chosen = [what, "--all" if given["all_rules"] else "", given["target"]]
    if sum(map(bool, chosen)) != 1:
        raise MonitorError("give one of RULE, --all and --target")
    ranges: list[Range | None] = []
    for name in ("warning", "critical"):
        text = given[name]
        if text is not None and not given["target"]:
            raise MonitorError(f"--{name} goes with --target: a rule has its own ranges")
        try:
            ranges.append(None if text is None else Range.parse(text))
        except ValueError as error:
            raise MonitorError(f"--{name}: {error}") from None
    source = _source(given)
    if given["target"]:
        query = {"target": given["target"], "from": f"-{given['window']}", "format": "json"}
        return plugin.of_target(source.get("/render", query), ranges[0], ranges[1])
    document = source.get("/alerts.json", {})
    now = SYSTEM.wall()
    return (
        plugin.of_all(document, now) if given["all_rules"] else plugin.of_rule(document, what, now)
    )


def _source(given: dict[str, Any]) -> asking.Asked:
    if given["url"] and given["data_dir"] is not None:
        raise MonitorError("give one of --url and --data-dir")
    if given["url"]:
        return asking.Dashboard(given["url"], given["token_file"], parse_duration(given["timeout"]))
    return asking.StoredData(config.load({"data_dir": given["data_dir"]}).settings.data_dir)


COMMANDS: list[click.Command] = [check]
