"""Rules as people write them, and what a measured value means to one."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor.alerts import condition, rule_files
from inapp_monitor.alerts.findings import findings, questions
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.alerts.status import Status
from inapp_monitor.ground.exceptions import ConfigError, QueryError
from tests.each import each

CONDITIONS = [
    ("p95 > 300ms for 3", ("requests.time.p95", "", "~:300", "ms", 3, 0)),
    ("p99 > 2s for 5min", ("requests.time.p99", "", "~:2000", "ms", 0, 300)),
    ("errors > 5% of requests", ("requests.errors", "requests.time.count", "~:5", "%", 0, 0)),
    ("shop.queue.depth >= 100", ("shop.queue.depth", "", "@100:", "", 0, 0)),
    ("< 10", ("", "", "10:", "", 0, 0)),
    ("<= 10", ("", "", "@~:10", "", 0, 0)),
    ("host.disk.free_bytes < 2GiB", ("host.disk.free_bytes", "", "2147483648:", "bytes", 0, 0)),
    ("sumSeries(a.*,b.*) > 1e3", ("sumSeries(a.*,b.*)", "", "~:1000", "", 0, 0)),
    ("10:20", ("", "", "10:20", "", 0, 0)),
    ("@10:20", ("", "", "@10:20", "", 0, 0)),
]


@each(("text", "expected"), CONDITIONS)
def test_a_condition_is_a_target_a_range_and_how_long_it_holds(
    text: str, expected: tuple[object, ...]
) -> None:
    """What people write becomes the Nagios range that means the same."""
    found = condition.parse(text)
    shown = (found.target, found.whole, str(found.range), found.unit)
    assert (*shown, found.attempts, found.lasting_s) == expected


def test_a_condition_may_compare_with_an_earlier_time_or_miss_data() -> None:
    """A multiple of the same hour is a ratio; missing data have a range of their own: none."""
    assert condition.parse("p95 > 1.5 * same hour last week").before_s == 7 * 86_400
    assert condition.parse("requests > 2 * same hour yesterday").before_s == 86_400
    missing = condition.parse("heartbeat no data for 10min")
    assert (missing.target, missing.no_data_s, missing.range) == ("heartbeat", 600, None)


@each(
    "text",
    ["", "p95 >", "p95 > fast", "> 5% of", "p95 > 5ms of requests", "10:x", "a b", "> 1e999"],
)
def test_what_is_no_condition_is_refused_by_name(text: str) -> None:
    """The error shows what was given and examples of what was expected."""
    with pytest.raises(ValueError, match=r"condition|range"):
        condition.parse(text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Any text is a condition or a ValueError."""
    try:
        condition.parse(text)
    except ValueError:
        pass


def test_a_rule_of_a_file_has_defaults_and_two_levels() -> None:
    """Target, unit and attempts may stand in the conditions."""
    (rule,) = rule_files.parse(
        '[rules.slow]\nwarning = "p95 > 300ms for 3"\ncritical = "> 1s"\nrecovery = "~:250"\n'
        'severity = "page"\nlabels = {team = "shop"}\nquiet_after_deploy = "2min"\n',
        "rules.toml",
    )
    assert (rule.target, rule.unit, rule.attempts) == ("requests.time.p95", "ms", 3)
    assert (str(rule.warning), str(rule.critical)) == ("~:300", "~:1000")
    assert (rule.quiet_after_deploy_s, rule.labels, rule.source) == (
        120,
        {"team": "shop"},
        "rules.toml",
    )


@each(
    ("text", "complaint"),
    [
        ("[rules.Slow]\ncritical = '> 1'", "lower-case"),
        ("[rules.slow]\ncritical = '> 1'", "no target"),
        ("[rules.slow]\ntarget = 'a'", "neither"),
        ("[rules.slow]\ntarget = 'a'\ncritical = '> 1'\natempts = 3", "atempts"),
        ("[rules.slow]\ntarget = 'a'\ncritical = true", "critical"),
        ("[rules.slow]\ntarget = 'a'\ncritical = '> 1'\nno_data = 'green'", "no_data"),
        ("[rules.slow]\nwarning = 'p95 > 1'\ncritical = 'p99 > 1'", "different"),
        ("[rule.slow]\n", "unknown 'rule'"),
        ("rules = 3", "tables"),
        ("[rules", "not TOML"),
    ],
)
def test_a_wrong_file_says_which_rule_and_what_was_expected(text: str, complaint: str) -> None:
    """File, rule and key are named."""
    with pytest.raises(ConfigError, match=complaint) as error:
        rule_files.parse(text, "rules.toml")
    assert "rules.toml" in str(error.value)


@each("value", [10**400, 10**30, float("inf"), float("nan"), "9999999d", -1])
@each("key", ["window", "interval", "attempts", "min_count", "renotify"])
def test_no_number_is_beyond_bounds(key: str, value: object) -> None:
    """A window of an age would cost every other rule its evaluation."""
    with pytest.raises(ValueError, match=f"`{key}` must be"):
        Rule.parse("x", {"critical": "errors > 5", key: value}, "test")


def test_a_built_in_rule_may_be_silenced_and_not_bent() -> None:
    """Title, severity, links and whether it is sent are the user's; what it looks at is not."""
    (made,) = rule_files.parse("[rules.slow-requests]\nnotify = false\n", "rules.toml")
    assert (made.notify, made.kind, made.title) == (False, "detector", "Slow requests")
    with pytest.raises(ConfigError, match="built in"):
        rule_files.parse("[rules.slow-requests]\ncritical = '> 1'\n", "rules.toml")


def rule(**table: object) -> Rule:
    return Rule.parse("r", {"target": "a", **table}, "test")


def found_of(subject: Rule, answers: dict[str, object], before: dict[str, Status] | None = None):
    asked = questions(subject, 1_000)
    given_answers = {question: answers.get(question.target, {}) for question in asked.all()}
    silent = dict.fromkeys([*(before or {}), ""], 100.0)
    return findings(subject, asked, given_answers, before or {}, silent)


def test_a_recovery_range_keeps_a_problem_until_it_is_well_over() -> None:
    """Hysteresis: what is no longer a problem is not yet in order."""
    subject = rule(warning="~:300", critical="~:800", recovery="~:250")
    assert subject.status_of(290, Status.OK) == Status.OK
    assert subject.status_of(290, Status.WARNING) == Status.WARNING
    assert subject.status_of(290, Status.CRITICAL) == Status.WARNING
    assert subject.status_of(240, Status.CRITICAL) == Status.OK
    assert subject.status_of(math.nan, Status.OK) == Status.UNKNOWN


def test_too_few_requests_say_nothing() -> None:
    """Below `min_count` a state stays what it was: neither a problem nor in order."""
    subject = rule(critical="> 5% of requests", min_count=20)
    few = {"a": {"a": 3.0}, "requests.time.count": {"requests.time.count": 4.0}}
    (found,) = found_of(subject, few, {"a": Status.CRITICAL})
    assert found.status is None and "not enough" in found.text
    many = {"a": {"a": 3.0}, "requests.time.count": {"requests.time.count": 40.0}}
    (found,) = found_of(subject, many)
    assert (found.status, found.value) == (Status.CRITICAL, 7.5)


def test_no_error_at_all_is_a_share_of_zero() -> None:
    """A counter that was never incremented is not stored: its share is known all the same."""
    (found,) = found_of(
        rule(critical="> 5% of requests"),
        {"requests.time.count": {"requests.time.count": 9.0}},
    )
    assert (found.status, found.value) == (Status.OK, 0.0)


def test_each_series_of_a_glob_has_a_share_of_its_own() -> None:
    """Errors of a route are a share of that route's requests; one without errors has none."""
    subject = Rule.parse(
        "r",
        {"target": "routes.*.*.errors", "critical": "> 5% of routes.*.*.time.count"},
        "test",
    )
    found = found_of(
        subject,
        {
            "routes.*.*.errors": {"routes.pay.POST.errors": 5.0},
            "routes.*.*.time.count": {
                "routes.pay.POST.time.count": 10.0,
                "routes.pay.GET.time.count": 10.0,
            },
        },
    )
    assert {each.series: each.value for each in found} == {
        "routes.pay.POST.time.count": 50.0,
        "routes.pay.GET.time.count": 0.0,
    }


def test_an_evaluation_error_is_unknown_with_its_text() -> None:
    """A rule that cannot be evaluated is not green."""
    (found,) = found_of(rule(critical="> 1"), {"a": QueryError("unknown function 'x'")})
    assert found.status == Status.UNKNOWN and "unknown function 'x'" in found.text


@each(
    ("policy", "status"),
    [("unknown", Status.UNKNOWN), ("critical", Status.CRITICAL), ("ok", Status.OK), ("keep", None)],
)
def test_missing_data_mean_what_the_rule_says(policy: str, status: Status | None) -> None:
    """No data are never taken for good news unless the rule says so."""
    (found,) = found_of(rule(critical="> 1", no_data=policy), {}, {"a": Status.OK})
    assert (found.series, found.status) == ("a", status)


@pytest.mark.parametrize(
    ("table", "known", "expected"),
    [
        ({"critical": "errors > 2"}, (), [("requests.errors", Status.OK, 0.0)]),
        ({"critical": "requests < 5"}, (), [("requests.time.count", Status.CRITICAL, 0.0)]),
        ({"critical": "p95 > 300ms"}, (), [("", None, None)]),
        ({"critical": "p95 > 300ms"}, ("requests.time.p95",), [("requests.time.p95", None, None)]),
        ({"critical": "p95 > 300ms", "no_data": "critical"}, (), [("", Status.CRITICAL, None)]),
        ({"critical": "requests no data for 1min"}, (), [("", Status.CRITICAL, None)]),
        ({"critical": "errors > 5% of requests"}, (), [("", None, None)]),
        ({"critical": "routes.*.*.errors > 2"}, (), [("", None, None)]),
        (
            {"critical": "routes.*.*.errors > 2"},
            ("routes.a.GET.errors",),
            [("routes.a.GET.errors", Status.OK, 0.0)],
        ),
        ({"critical": "routes.typo.GET.errors > 2"}, (), [("", Status.UNKNOWN, None)]),
        ({"critical": "requests.erors > 2"}, (), [("", Status.UNKNOWN, None)]),
    ],
    ids=str,
)
def test_a_site_that_nobody_visits_is_not_unknown(
    table: dict[str, str], known: tuple[str, ...], expected: list[tuple[str, Status | None, float]]
) -> None:
    """What the monitor counts itself is 0 without requests, and a percentile of none stays what it
    was; other series, and rules that say what no data mean, are as ever."""
    found = found_of(Rule.parse("r", table, "test"), {}, dict.fromkeys(known, Status.OK))
    assert [(each.series, each.status, each.value) for each in found] == expected


def test_a_rule_about_last_week_has_nothing_to_say_in_its_first_week() -> None:
    """It is neither green nor UNKNOWN, and no message is sent."""
    subject = rule(critical="> 1.5 * same hour last week")
    asked = questions(subject, 1_000_000)
    assert asked.value_before is not None
    (found,) = findings(subject, asked, {asked.value: {"a": 3.0}, asked.value_before: {}}, {}, {})
    assert found.status is None and "nothing is known" in found.text


def test_a_ratio_needs_the_earlier_value() -> None:
    """What was not there last week is compared with nothing."""
    subject = rule(critical="> 1.5 * same hour last week")
    asked = questions(subject, 1_000_000)
    assert asked.value_before is not None and asked.value_before.end == 1_000_000 - 604_800
    answers = {asked.value: {"a": 3.0}, asked.value_before: {"a": 1.0}}
    (found,) = findings(subject, asked, answers, {}, {})
    assert (found.status, found.value) == (Status.CRITICAL, 3.0)
