"""How often the rule of grouping is right: pairs of failures, and Sentry's and Bugsink's rules.

    pip install "sentry-sdk>=2,<3"
    python -m bench.grouping [--wrong]

Each pair is two failures that really happen here, and whether a person calls them the same issue:
the labels stand in `grouping_pairs.py` and `grouping_messages.py` and are ours, so they can be
disputed one by one. A rule is right when it makes one issue of what is the same and two of what is
not. What the peers' rules are is said in `grouping_peers.py`; they see what sentry-sdk sends, and
its `project_root` is set so that it takes the same code for the application's.
"""

from __future__ import annotations

import argparse
import linecache
import sys
import tempfile
import textwrap
from collections import Counter
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from bench import grouping_messages, grouping_pairs, grouping_peers
from bench.grouping_pairs import Failure
from inapp_monitor.issues.code_places import CodePlaces
from inapp_monitor.issues.grouping import messages, v2
from inapp_monitor.issues.shapes_v2 import shapes_of

GOAL = 0.95
RULES = ("inapp-monitor", "sentry", "bugsink")
#: What an event is compared by, for each rule.
Keys = dict[str, set[object]]


class Runner:
    """Makes failures happen, in modules that it writes.

    Args:
        folder: For their files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places = CodePlaces(packages=["installed_shop"])
        self._transport = grouping_peers.start()

    def failure(self, failure: Failure) -> Keys:
        """What each rule compares of a failure."""
        error = self._raised(failure)
        found = v2.group(shapes_of(error, self._places))
        event = grouping_peers.exception_event(self._transport, error)
        return {
            "inapp-monitor": {found.fingerprint},
            "sentry": grouping_peers.sentry(event),
            "bugsink": grouping_peers.bugsink(event),
        }

    def _raised(self, failure: Failure) -> BaseException:
        linecache.clearcache()
        module = self._module(failure)
        if failure.then is not None:
            Path(str(module.__file__)).write_text(textwrap.dedent(failure.then))
        try:
            answer = eval(failure.call, module.__dict__)
        except BaseException as error:  # not the frame of this function
            assert error.__traceback__ is not None
            below = error.__traceback__.tb_next
            assert below is not None
            return error.with_traceback(below.tb_next)
        assert isinstance(answer, BaseException), failure  # one that was never raised
        return answer

    def _module(self, failure: Failure) -> ModuleType:
        path = self._folder / failure.folder / failure.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(failure.source))
        loader = SourceFileLoader(failure.module, str(path))
        module = ModuleType(failure.module)
        module.__file__, module.__loader__ = str(path), loader
        sys.modules[failure.module] = module
        code = compile(path.read_text(), str(path), "exec", dont_inherit=True)
        exec(code, module.__dict__)
        return module


def of_message(text: str) -> Keys:
    """What each rule compares of a log record."""
    event = grouping_peers.message_event(text)
    return {
        "inapp-monitor": {messages.group_message(text, place="shop").fingerprint},
        "sentry": grouping_peers.sentry(event),
        "bugsink": grouping_peers.bugsink(event),
    }


def main() -> int:
    """Try all pairs and print how many each rule got right."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--wrong", action="store_true", help="name the pairs that are wrong")
    parser.add_argument("--quick", action="store_true", help="no difference: it takes seconds")
    arguments = parser.parse_args()
    tried: Counter[str] = Counter()
    right: Counter[tuple[str, str]] = Counter()

    def judge(kind: str, name: str, same: bool, first: Keys, second: Keys) -> None:
        tried[kind] += 1
        for rule in RULES:
            if bool(first[rule] & second[rule]) is same:
                right[kind, rule] += 1
            elif arguments.wrong:
                print(f"{rule}: {name}: {'split' if same else 'merged'}")

    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(Path(folder))
        for pair in grouping_pairs.PAIRS:
            first, second = runner.failure(pair.first), runner.failure(pair.second)
            judge(pair.kind, pair.name, pair.same, first, second)
    for message in grouping_messages.PAIRS:
        first, second = of_message(message.first), of_message(message.second)
        judge("log messages", message.name, message.same, first, second)
    return report(tried, right)


def report(tried: Counter[str], right: Counter[tuple[str, str]]) -> int:
    """Print the table; 1 when the goal is missed."""
    print(f"{'right of pairs tried':40}{'pairs':>6}" + "".join(f"{rule:>15}" for rule in RULES))
    for kind, pairs in tried.items():
        print(f"{kind:40}{pairs:6}" + "".join(f"{right[kind, rule]:15}" for rule in RULES))
    total = tried.total()
    sums = {rule: sum(right[kind, rule] for kind in tried) for rule in RULES}
    print(f"{'all':40}{total:6}" + "".join(f"{sums[rule]:15}" for rule in RULES))
    print(f"{'':46}" + "".join(f"{sums[rule] / total:14.1%} " for rule in RULES))
    met = sums["inapp-monitor"] / total >= GOAL and total >= 120
    print(f"goal: at least {GOAL:.0%} of at least 120 pairs: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
