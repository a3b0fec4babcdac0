"""Regular expressions of clients: they mean what Python's `re` means, and none takes long."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor.ground.exceptions import QueryError
from inapp_monitor.query import patterns
from inapp_monitor.query.patterns import Pattern
from inapp_monitor.query.tagged import select
from tests.each import each

NAMES = [
    "servers.web01.cpu", "stats.timers.x-y.upper_90", "a.b.c.d", "", "odd{d}.web{e<=1}", "é.ü.Ü",
    "summarize(sumSeries(servers.{web01,web02}.cpu), '1h', 'sum')", "collectd.db-1.df-root.used",
    "driver.BlockManager.memory.memUsed_MB", "a" * 900,
]  # fmt: skip
#: Search and replacement as dashboards have them.
EVERYDAY = [
    (r"(^.*$)", r"\1 A"),
    (r"(.*?)\.(.*?)\.(.*)", r"\3 of \2"),
    (r"^.*web(\d+).*$", r"host \1"),
    (r"^[^.]+\.([^.]+)\..*", r"\1"),
    (r".+web(.+)\..+", r"\1"),
    (r"(ser)?vers\.", ""),
    (r".*\.([^.]*)\.([^.]*)$", r"\g<1>/\g<2>"),
    (r"^.*\.(?P<what>[a-z]+)_(?P<of>\d+)$", r"\g<what> \g<of>"),
    (r"(?i)WEB|db", "host"),
    (r"(?<=\.)web(?=\d)", "w"),
    (r"(?!servers)\b\w+\.", "-"),
    (r"(\w)\1", r"\1"),
    (r"(\.)|(_)", " "),
    (r".*", "x"),
    (r"x*", "-"),
    (r"\s*,\s*'[^']*'", ""),
    (r"(a+)+b", "x"),
    (r"web{d}|{d}|[{]e<=1[}]|web{e<=1}", "brace"),
    (r"\d{1,2}|c{,2}|a{2,}", "n"),
    (r"\Aservers|cpu\Z", ""),
    (r"\N{LATIN SMALL LETTER E WITH ACUTE}|\x62|\u00fc", "letter"),
    (r"(?x) web \d+ # the host", "host"),
    (r"[^\W\d_]+(?:-\d+)?", "word"),
    (r"^(?:.*\.)?(\w+)\.(\w+)$", r"\2: \1"),
]


@each(("search", "replacement"), EVERYDAY)
def test_a_pattern_means_what_it_means_to_graphite(search: str, replacement: str) -> None:
    """Everyday patterns replace and find what Python's own module does."""
    pattern = Pattern(search)
    for name in NAMES:
        if search == r"(a+)+b" and name == NAMES[-1]:
            continue  # Python's own would never end
        assert pattern.search(name) == (re.search(search, name) is not None)
        assert pattern.sub(replacement, name) == re.sub(search, replacement, name)


@pytest.mark.filterwarnings("ignore:Possible:FutureWarning")
@given(st.text("ab{}[],^-.1*+?|()\\d ", max_size=12), st.text("ab{}1,", max_size=12))
@settings(max_examples=400, deadline=None)
def test_any_pattern_means_what_it_means_to_graphite(search: str, name: str) -> None:
    """Whatever Python's module accepts finds the same here; what it refuses is refused."""
    try:
        expected = re.sub(search, "<>", name)
    except (re.error, RecursionError, OverflowError):
        with pytest.raises(QueryError):
            Pattern(search)
        return
    assert Pattern(search).sub("<>", name) == expected


@pytest.mark.parametrize("search", ["(a|aa)+$", "(a+)+b", "([a-z]+)*$", "(.*a){20}b"])
def test_a_pattern_that_backtracks_is_stopped(search: str) -> None:
    """A pattern that would never end is refused within its time."""
    begin = time.thread_time()
    with pytest.raises(QueryError, match="took longer"):
        Pattern(search).search("a" * 5_000 + "!")
    assert time.thread_time() - begin < 10 * patterns.TIMEOUT_S


def test_a_slow_pattern_is_stopped_over_many_names() -> None:
    """The time of all names together is bounded, not only that of each."""
    pattern = Pattern("(a|aa)+$")
    begin = time.thread_time()
    with pytest.raises(QueryError, match="took longer"):
        for _ in range(1_000_000):
            pattern.search("a" * 20 + "!")
    assert time.thread_time() - begin < 5 * patterns.TOTAL_TIMEOUT_S


def test_expressions_over_tags_share_their_time() -> None:
    """A hundred of them, each just fast enough, are stopped as one would be."""
    paths = [f"jobs;host={'a' * 18}{number}!" for number in range(10)]
    begin = time.thread_time()
    with pytest.raises(QueryError, match="took longer"):
        select(["name=jobs"] + ["host!=~(a|aa)+$"] * 500, paths)
    assert time.thread_time() - begin < 5 * patterns.TOTAL_TIMEOUT_S


def test_compiling_counts_too() -> None:
    """Long patterns by the hundred are stopped before all of them are compiled."""
    long = "|".join(f"[a-z]{number}" for number in range(440))
    begin = time.thread_time()
    with pytest.raises(QueryError, match="took longer"):
        select([f"host=~{long}|{number}" for number in range(1_000)], [])
    assert time.thread_time() - begin < 5 * patterns.TOTAL_TIMEOUT_S


def test_the_longest_pattern_over_tags() -> None:
    """It may be as long as any other, though it is made to match at the start."""
    hosts = "|".join(f"web-{number:03}_dc1_example_com" for number in range(190))[:4_096]
    assert select([f"host=~{hosts}"], ["jobs;host=web-007_dc1_example_com", "jobs;host=x"]) == [
        "jobs;host=web-007_dc1_example_com"
    ]
    with pytest.raises(QueryError, match="at most 4096"):
        select([f"host=~{hosts}a"], [])


@pytest.mark.parametrize(
    "search", ["((a{1,200}){1,200}){1,200}", "(?:(?:a?){400}){400}", "a{1000000}", "(" * 2_000]
)
def test_a_pattern_that_takes_long_to_compile_is_refused(search: str) -> None:
    """Repetitions of repetitions are counted before anything is compiled."""
    begin = time.thread_time()
    with pytest.raises(QueryError):
        Pattern(search)
    assert time.thread_time() - begin < 1


def test_how_long_patterns_and_names_may_be() -> None:
    """Alternatives of hundreds of hosts fit, and names of any length are matched."""
    hosts = [f"web-{number:02}_dc1_example_com" for number in range(170)]
    many = Pattern(f"^({'|'.join(hosts)})$")
    assert many.search(hosts[-1]) and not many.search("web-999_dc1_example_com")
    name = f"sumSeries({','.join(hosts * 50)})"
    assert Pattern("(^.*$)").sub(r"\1 A", name) == f"{name} A"
    with pytest.raises(QueryError, match="4097 characters, at most 4096"):
        Pattern("a" * 4_097)


@pytest.mark.parametrize(
    ("search", "replacement", "name"),
    [("(.*)", r"\1" * 2_000, "a" * 2_000), ("", "b" * 4_000, "a" * 100), ("a", r"\2", "a")],
)
def test_a_replacement_that_cannot_be_made(search: str, replacement: str, name: str) -> None:
    """Names do not grow without limit, and a group that is not there is named."""
    with pytest.raises(QueryError, match="replacement"):
        Pattern(search).sub(replacement, name)


def test_the_engine_is_loaded_with_the_first_pattern() -> None:
    """Queries without a pattern do not pay for it."""
    code = (
        "import sys\n"
        "from inapp_monitor.query.patterns import Pattern\n"
        "assert 'regex' not in sys.modules\n"
        "Pattern('a')\n"
        "assert 'regex' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
