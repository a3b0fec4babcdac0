"""Rules for other tools: Nagios's objects and Prometheus' rules."""

from __future__ import annotations

from click.testing import CliRunner

from inapp_monitor.alerts import nagios_config, prometheus_rules
from inapp_monitor.alerts.rule import Rule
from inapp_monitor.cli.command_line import main
from inapp_monitor.export.metric_names import Metric, metrics_of
from inapp_monitor.ground.points import Method
from inapp_monitor.ground.ranges import Leaf
from inapp_monitor.query import globs
from tests.alerts.judged_site import JudgedSite

LEAVES = [
    Leaf("requests.errors", "scalar", Method.SUM),
    Leaf("requests.time", "distribution", Method.SUM),
    Leaf("routes.pay.POST.time", "distribution", Method.SUM),
    Leaf("routes.list.GET.time", "distribution", Method.SUM),
    Leaf("shop.depth", "scalar", Method.LAST),
]


def metrics(pattern: str) -> list[Metric]:
    known = metrics_of(LEAVES, {"pay": "/pay", "list": "/list"})
    tree = globs.Tree()
    tree.add(known)
    return [known[path] for path, node in tree.find(pattern) if node.is_leaf]


def expressions(**table: object) -> list[str]:
    rule = Rule.parse("rule", table, "test")
    text = prometheus_rules.document([rule], metrics)
    lines = [line.strip() for line in text.splitlines()[1:]]
    return [line for line in lines if line.startswith(("expr:", "# "))]


def test_expressions() -> None:
    """Counters, percentiles, shares and gauges, in Prometheus' units."""
    assert expressions(critical="requests.errors > 5") == [
        'expr: "(60 * sum(rate(http_request_errors_total[120s]))) > 5"'
    ]
    assert expressions(critical="requests.errors > 5", window="5min", min_count=20) == [
        'expr: "((sum(increase(http_request_errors_total[300s]))) > 5)'
        ' and on() (sum(increase(http_request_duration_seconds_count[300s]))) >= 20"'
    ]
    assert expressions(target="requests.errors", critical="no data for 10min") == [
        'expr: "sum(increase(http_request_errors_total[600s])) == 0'
        ' or absent(http_request_errors_total)"'
    ]
    assert expressions(critical="p95 > 300ms", window="5min") == [
        'expr: "(histogram_quantile(0.95, sum by (le)'
        '(rate(http_request_duration_seconds_bucket[300s])))) > 0.3"'
    ]
    assert expressions(target="routes.*.*.time.p95", critical="~:300") == [
        'expr: "(histogram_quantile(0.95, sum by (le, method, route)'
        '(rate(http_route_request_duration_seconds_bucket[120s])))) > 0.3"'
    ]
    assert expressions(critical="errors > 5% of requests", window="2min") == [
        'expr: "(100 * (sum(increase(http_request_errors_total[120s]))) / '
        '(sum(increase(http_request_duration_seconds_count[120s])))) > 5"'
    ]
    assert expressions(target="shop.depth", warning="10:20", critical="@30:40") == [
        'expr: "(shop_depth) >= 30 and (shop_depth) <= 40"',
        'expr: "(shop_depth) > 20 or (shop_depth) < 10"',
    ]


def test_what_has_no_equal_is_named() -> None:
    """A comment with the reason, never a wrong rule."""
    assert "more than a path" in expressions(target="sum(a.*)", critical="5")[0]
    assert "there is no series" in expressions(target="no.such.p95", critical="5")[0]
    share = expressions(target="routes.*.*.time.count", of="requests.errors", critical="5")
    assert "different labels" in share[0]
    assert (
        "`recovery` has no equal" in expressions(target="shop.depth", critical="5", recovery="3")[1]
    )


def test_nagios_objects() -> None:
    """A command, and a service a rule; nothing of a rule's texts can begin another line."""
    table = {"critical": "shop.depth > 5", "title": "a\nb;c", "runbook": "x\ny"}
    rule = Rule.parse("deep", table, "")
    text = nagios_config.objects([rule], "web1", "/usr/bin/inapp-monitor check -u URL -a FILE")
    assert "command_line  /usr/bin/inapp-monitor check -u URL -a FILE $ARG1$" in text
    assert "inapp_monitor!deep" in text
    assert ";" not in text and "\nb" not in text
    passive = nagios_config.objects([rule], "web1", "", passive=True, template="mine", prefix="s ")
    assert "use                     mine" in passive
    assert "check_freshness         1" in passive
    assert "service_description     s deep" in passive


def test_commands(judged: JudgedSite) -> None:
    """`export` prints either; one of them must be chosen."""
    data = str(judged.data_dir)

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["export", *arguments])
        return done.exit_code, done.output

    code, text = run("--nagios", "--host", "web1", "--data-dir", data)
    assert code == 0 and text.count("define service") == 4
    code, text = run("--prometheus-rules", "--data-dir", data)
    assert code == 0 and 'alert: "pay-fails"' in text  # though nothing has failed so far
    assert '"fine" is left out: there is no series shop.load yet' in text
    assert run("--data-dir", data)[0] == 2
    assert run("--nagios", "--host", "a;b", "--data-dir", data)[0] == 2
    assert run("--nagios", "--command", "a\nb", "--data-dir", data)[0] == 2
