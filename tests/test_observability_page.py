"""OBSERVABILITY.md, the dashboard and the alerts speak of the metrics that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from deployments.metrics import autoscaling, providers, replica
from deployments.metrics.instruments import METRICS, PREFIX, Counter, Gauge
from serve_app.observability import metrics
from tests.support.observability_page import DASHBOARD, OF_RAY, PAGE, RULES, expressions, selectors, table

ROOT = Path(__file__).parent.parent
LABELS_OF_RAY = {"deployment", "application"}
"""Those that all of them have."""
NAMES = {
    metric.name
    for module in (replica, metrics, autoscaling, providers)
    for metric in vars(module).values()
    if metric in METRICS
}
OURS = [metric for metric in METRICS if metric.name in NAMES]


def test_the_table_has_each_metric_with_its_type_labels_and_unit() -> None:
    told = {}
    for metric in OURS:
        full = f"{PREFIX}{metric.name}{'_total' if isinstance(metric, Counter) else ''}"
        told[full] = [type(metric).__name__.lower(), ", ".join(metric.labels) or "-", metric.unit]
    assert {name: cells[:3] for name, cells in table().items()} == told
    assert all(cells[3] for cells in table().values())


def exported() -> dict[str, set[str]]:
    """The labels of each name that Prometheus sees."""
    ours = {f"ray_{name}": set(labels) for metric in OURS for name, labels in metric.exported}
    return ours | dict.fromkeys(OF_RAY, LABELS_OF_RAY)


@pytest.mark.parametrize("text", list(expressions()))
def test_every_expression_parses_and_names_metrics_and_labels_that_there_are(text: str) -> None:
    found = list(selectors(promql_parser.parse(text)))
    known = exported()
    assert len(found) == len(re.findall(r"\bray_\w+", text)), "a selector was overlooked"
    for selector in found:
        assert selector.name in known, selector.name
        assert {matcher.name for matcher in selector.matchers.matchers} <= known[selector.name], text
    for labels in re.findall(r"by \(([^)]*)\)", text):
        for selector in found:
            assert set(labels.split(", ")) <= known[selector.name], text


def test_every_choice_on_the_dashboard_is_of_a_label_that_there_is() -> None:
    queries = [choice["query"]["query"] for choice in DASHBOARD["templating"]["list"] if choice["type"] == "query"]
    assert queries
    for query in queries:
        (text, label) = re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()  # type: ignore[union-attr]
        (selector,) = selectors(promql_parser.parse(text))
        assert {label, *(matcher.name for matcher in selector.matchers.matchers)} <= exported()[selector.name], query


def test_every_metric_of_ours_is_on_the_dashboard_or_in_an_alert() -> None:
    used = {name for parameter in expressions() for name in re.findall(r"ray_\w+", parameter.values[0])}
    families = {re.sub("_(bucket|sum|count)$", "", name) for name in used}
    base = {f"ray_{PREFIX}{metric.name}{'_total' if isinstance(metric, Counter) else ''}" for metric in OURS}
    assert base <= families


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_has_its_paragraph_in_the_runbook(rule: dict[str, Any]) -> None:
    assert re.search(rf"^### {rule['alert']}\n\n\w.{{100,}}", PAGE, re.MULTILINE)
    assert rule["annotations"]["runbook"] == f"OBSERVABILITY.md#{rule['alert'].lower()}"


def test_the_runbook_has_no_alert_that_is_gone() -> None:
    (part,) = re.findall(r"^## Alerts$(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)
    assert re.findall(r"^### (\w+)$", part, re.MULTILINE) == [rule["alert"] for rule in RULES]


def test_every_stage_that_the_code_measures_is_told() -> None:
    (part,) = re.findall(r"^### Stages$(.*?)^Ray Serve has", PAGE, re.MULTILINE | re.DOTALL)
    told = set(re.findall(r"^\| `([\w ]+)` \|", part, re.MULTILINE))
    sources = [
        path.read_text() for folder in ("serve_app", "deployments") for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    measured = {
        stage
        for source in sources
        for pattern in (
            r'took\("(\w+)"',
            r'stages\["(\w+)"',
            r'STAGE_SECONDS\.observe\([^"]*"(\w+)"',
            r'replica\.image\([^"]*"\w+", "([\w ]+)"',
        )
        for stage in re.findall(pattern, source)
    }
    assert told == measured


def test_the_dashboard_has_a_row_for_each_subject_and_no_panel_twice() -> None:
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == [
        "Traffic",
        "Latency by stage",
        "Models",
        "Replicas",
        "Qdrant",
        "Errors",
        "Images",
        "External providers",
        "GPU",
    ]
    titles = [panel["title"] for panel in DASHBOARD["panels"]]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(set(titles)) == len(titles)


def test_the_collectors_example_is_yaml() -> None:
    (example,) = re.findall(r"<!-- tested: collector -->\n```yaml\n(.*?)```", PAGE, re.DOTALL)
    config = yaml.safe_load(example)
    (pipeline,) = config["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) <= config[kind].keys()


def test_gauges_are_no_counters() -> None:
    assert not [metric.name for metric in OURS if isinstance(metric, Gauge) and metric.name.endswith("_total")]
