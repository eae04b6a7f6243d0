"""Prometheus and Grafana ask for what omni tells, and every alert says what to do."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import prometheus_client
import promql_parser as promql
import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

from omni.telemetry import metrics
from tests.infra.parts import INFRA, ROOT, documents

TARGET = frozenset({"job", "instance", "role", "namespace", "pod"})
"""What the scrape itself says of a process."""

DASHBOARDS = sorted((INFRA / "grafana" / "dashboards").glob("*.json"))
PLAYED = Path(__file__).parent / "alerts_test.yaml"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")


class WrongError(Exception):
    """An expression asks for what is not told."""


def _ours() -> dict[str, frozenset[str]]:
    """Every series of omni's own metrics, with its labels."""
    found: dict[str, frozenset[str]] = {}
    for metric in vars(metrics).values():
        labels = frozenset(getattr(metric, "_labelnames", ()))
        if isinstance(metric, Counter):
            found[metric._name + "_total"] = labels
        elif isinstance(metric, Gauge):
            found[metric._name] = labels
        elif isinstance(metric, Histogram):
            found |= {f"{metric._name}_{end}": labels for end in ("sum", "count")}
            found[metric._name + "_bucket"] = labels | {"le"}
    return found


@cache
def _series() -> dict[str, frozenset[str]]:
    """What can be asked for: our metrics, those of the process, Prometheus's own, and what it records."""
    known = {name: labels | TARGET for name, labels in _ours().items()}
    for family in prometheus_client.REGISTRY.collect():
        if family.name.startswith(("process_", "python_")):
            known |= {sample.name: frozenset(sample.labels) | TARGET for sample in family.samples}
    known["up"] = TARGET
    for rule in _rules("recording.yaml"):
        known[rule["record"]] = _labels_of(promql.parse(rule["expr"]), known)
    return known


def _rules(name: str) -> list[dict[str, Any]]:
    return [rule for group in documents(f"prometheus/{name}")[0]["groups"] for rule in group["rules"]]


ALERTS = _rules("alerts.yaml")


def _labels_of(node: Any, known: dict[str, frozenset[str]] | None = None) -> frozenset[str]:
    """The labels that an expression's result has. Raises WrongError for metrics and labels that are not."""
    known = _series() if known is None else known
    match node:
        case promql.VectorSelector():
            if node.name not in known:
                raise WrongError(f"{node.name}: there is no such metric")
            for matcher in node.matchers.matchers:
                if matcher.name not in known[node.name]:
                    raise WrongError(f"{node.name}: has no label {matcher.name!r}")
                _check_value(matcher.name, matcher.value)
            return known[node.name]
        case promql.MatrixSelector():
            return _labels_of(node.vector_selector, known)
        case promql.Call() if node.func.name == "absent":
            _labels_of(node.args[0], known)
            return frozenset()
        case promql.Call():
            found: frozenset[str] = frozenset().union(*(_labels_of(each, known) for each in node.args))
            if node.func.name == "histogram_quantile" and "le" not in found:
                raise WrongError("histogram_quantile: `le` was summed away")
            return found - {"le"} if node.func.name == "histogram_quantile" else found
        case promql.AggregateExpr():
            inner = _labels_of(node.expr, known)
            by = frozenset(node.modifier.labels) if node.modifier is not None else frozenset()
            if not by <= inner:
                raise WrongError(f"by ({', '.join(sorted(by - inner))}): what is summed has no such label")
            return by
        case promql.BinaryExpr():
            left, right = _labels_of(node.lhs, known), _labels_of(node.rhs, known)
            return left if not isinstance(node.lhs, promql.NumberLiteral) else right
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return _labels_of(node.expr, known)
        case promql.NumberLiteral() | promql.StringLiteral():
            return frozenset()
    raise WrongError(f"a part that this test does not know: {type(node).__name__}")


@cache
def _sources() -> str:
    folders = ("omni", "channels", "sessions", "workers")
    return "\n".join(file.read_text(encoding="utf-8") for name in folders for file in (ROOT / name).rglob("*.py"))


def _check_value(label: str, value: str) -> None:
    """That our code says such a value anywhere."""
    if label in TARGET or re.search(r"[.*+$\[]", value):
        return
    for each in value.split("|"):
        if f'"{each}"' not in _sources():
            raise WrongError(f"{label}={each!r}: the code never says so")


def _asked(expression: str) -> frozenset[str]:
    filled = expression.replace("$__rate_interval", "5m").replace("$__range", "1h")
    return _labels_of(promql.parse(filled))


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("omni_turns", "no such metric"),
        ("rate(omni_turn_seconds[5m])", "no such metric"),
        ('omni_turns_total{channel="sms"}', "no label 'channel'"),
        ('omni_turns_total{outcome="fialed"}', "never says"),
        ("sum by (channel) (rate(omni_turns_total[5m]))", "no such label"),
        ("histogram_quantile(0.9, sum(rate(omni_turn_seconds_bucket[5m])))", "summed away"),
    ],
)
def test_the_check_finds_what_is_wrong(expression: str, why: str) -> None:
    with pytest.raises(WrongError, match=re.escape(why)):
        _asked(expression)


@pytest.mark.parametrize("rule", _rules("recording.yaml"), ids=lambda rule: rule["record"])
def test_what_is_recorded_is_told(rule: dict[str, Any]) -> None:
    _asked(rule["expr"])


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_asks_for_what_is_told_and_says_what_it_is_about(alert: dict[str, Any]) -> None:
    labels = _asked(alert["expr"])
    texts = alert["annotations"]["summary"] + alert["annotations"]["description"]
    assert set(re.findall(r"\$labels\.(\w+)", texts)) <= labels
    assert alert["labels"]["severity"] in ("warning", "critical")
    assert alert.keys() <= {"alert", "expr", "for", "labels", "annotations"}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_has_its_part_of_the_runbook(alert: dict[str, Any]) -> None:
    name = alert["alert"]
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert page.endswith("/docs/runbook.md")
    assert anchor == name.lower()
    (part,) = re.findall(rf"(?ms)^## {name}\n(.*?)(?=^## |\Z)", RUNBOOK)
    assert re.findall(r"(?m)^\*\*(\w+)\*\* \S", part) == ["Means", "Look", "Do"]


def test_the_runbook_is_of_alerts_that_there_are() -> None:
    names = [alert["alert"] for alert in ALERTS]
    assert re.findall(r"(?m)^## (\w+)$", RUNBOOK) == names
    assert len(set(names)) == len(names)
    for name in re.findall(r"`(omni_\w+)", RUNBOOK):
        assert any(series == name or series.startswith(f"{name}_") for series in _ours()), name


def _panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (panel for panel in board["panels"] if panel["type"] != "row")


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_asks_for_what_is_told(file: Any) -> None:
    board = json.loads(file.read_text(encoding="utf-8"))
    assert board["uid"] == file.stem
    for panel in _panels(board):
        for target in panel["targets"]:
            labels = _asked(target["expr"])
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels, panel["title"]
            assert 'namespace=~"$namespace"' in target["expr"]
        assert panel["datasource"]["uid"] == "${datasource}"
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            name, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]).groups()  # type: ignore[union-attr]
            assert label in _series()[name]


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_panels_of_a_dashboard_do_not_lie_on_each_other(file: Any) -> None:
    panels = json.loads(file.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_nothing_that_omni_tells_is_shown_nowhere() -> None:
    asked = " ".join(
        target["expr"]
        for file in DASHBOARDS
        for panel in _panels(json.loads(file.read_text(encoding="utf-8")))
        for target in panel["targets"]
    )
    asked += " ".join(rule["expr"] for rule in _rules("recording.yaml") if rule["record"] in asked)
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            assert metric._name in asked


def test_the_autoscaler_asks_for_what_is_told() -> None:
    (adapter,) = documents("prometheus/adapter.yaml")
    for rule in [*adapter["rules"]["external"], *adapter["rules"]["custom"]]:
        series = promql.parse(rule["seriesQuery"])
        _labels_of(series)
        filled = rule["metricsQuery"].replace("<<.Series>>", series.name)
        filled = filled.replace("<<.LabelMatchers>>", 'namespace="omni"').replace("<<.GroupBy>>", "pod")
        _asked(filled)
        assert rule["resources"]["overrides"].keys() <= _series()[series.name]


def test_prometheus_looks_at_every_role_and_reads_the_rules_that_are_here() -> None:
    (config,) = documents("prometheus/prometheus.yaml")
    assert all((INFRA / "prometheus" / name).is_file() for name in config["rule_files"])
    services = documents("compose.yaml")[0]["services"]
    (omni, rabbit) = config["scrape_configs"]
    assert omni["job_name"] == "omni"
    (found,) = omni["dns_sd_configs"]
    assert set(found["names"]) == {
        name for name, one in services.items() if "command" in one and "serve" in one["command"]
    }
    assert rabbit["static_configs"][0]["targets"][0].split(":")[0] in services
    assert documents("prometheus/kubernetes.yaml")[0]["scrape_configs"][0]["job_name"] == "omni"


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not here; what is asked for is checked all the same")
    return found


def test_prometheus_takes_its_files(promtool: str) -> None:
    run = subprocess.run(
        [promtool, "check", "config", str(INFRA / "prometheus" / "prometheus.yaml")], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr + run.stdout


def test_alerts_ring_when_they_should(promtool: str, tmp_path: Path) -> None:
    for file in (INFRA / "prometheus" / "recording.yaml", INFRA / "prometheus" / "alerts.yaml", PLAYED):
        shutil.copy(file, tmp_path)
    run = subprocess.run([promtool, "test", "rules", PLAYED.name], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr + run.stdout


def test_what_is_played_are_series_that_omni_tells() -> None:
    for test in yaml.safe_load(PLAYED.read_text(encoding="utf-8"))["tests"]:
        for one in test["input_series"]:
            _asked(one["series"])
