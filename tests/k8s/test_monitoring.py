"""The component for Prometheus Operator and Grafana: rendered, and in agreement with the pods that it looks at."""

from __future__ import annotations

import json
import re

import promql_parser
import pytest

from tests.support.manifests import OF_PROMETHEUS, PLACES, Manifests, labels_of, port_names, selects
from tests.support.observability_page import expressions, selectors

kubernetes_validate = pytest.importorskip("kubernetes_validate")


@pytest.fixture(scope="module")
def monitored() -> Manifests:
    return Manifests("overlays/monitored")


def test_only_the_component_needs_the_operators_resource_types(monitored: Manifests) -> None:
    assert monitored.of_kind("PodMonitor").keys() == monitored.of_kind("PrometheusRule").keys() == {"inference"}
    for place in set(PLACES) - {monitored.place}:
        kinds = {document["kind"] for document in Manifests(place).documents}
        assert not kinds & OF_PROMETHEUS.keys(), place


def test_the_operators_documents_have_the_parts_that_it_reads(monitored: Manifests) -> None:
    for kind, part in OF_PROMETHEUS.items():
        document = monitored.of_kind(kind)["inference"]
        assert document["apiVersion"] == "monitoring.coreos.com/v1"
        assert document["metadata"]["namespace"] == "qdrant-inference"
        assert document["spec"][part]


def test_prometheus_scrapes_ports_that_the_pods_have_and_a_policy_opens(monitored: Manifests) -> None:
    monitor = monitored.of_kind("PodMonitor")["inference"]["spec"]
    ports = {endpoint["port"] for endpoint in monitor["podMetricsEndpoints"]}
    chosen = {name for name, pod in monitored.pods.items() if selects(monitor["selector"], labels_of(pod))}
    assert chosen == monitored.ray_pods.keys()
    for name in chosen:
        assert ports <= port_names(monitored.pods[name]), name
    (rule,) = monitored.of_kind("NetworkPolicy")["metrics"]["spec"]["ingress"]
    assert ports == {port["port"] for port in rule["ports"]}


def relabelings(monitored: Manifests, action: str) -> list[str]:
    endpoints = monitored.of_kind("PodMonitor")["inference"]["spec"]["podMetricsEndpoints"]
    rules = [rule for endpoint in endpoints for rule in endpoint.get("metricRelabelings", ())]
    assert {rule["action"] for rule in rules} <= {"drop", "labeldrop"}
    assert all(rule["sourceLabels"] == ["__name__"] for rule in rules if rule["action"] == "drop")
    return [rule["regex"] for rule in rules if rule["action"] == action]


@pytest.mark.parametrize("text", list(expressions()))
def test_nothing_that_an_expression_needs_is_dropped(monitored: Manifests, text: str) -> None:
    found = list(selectors(promql_parser.parse(text)))
    labels = {matcher.name for selector in found for matcher in selector.matchers.matchers}
    labels |= {label for group in re.findall(r"by \(([^)]*)\)", text) for label in group.split(", ")}
    for regex in relabelings(monitored, "drop"):
        assert not [selector.name for selector in found if re.fullmatch(regex, selector.name)]
    for regex in relabelings(monitored, "labeldrop"):
        assert not [label for label in labels if re.fullmatch(regex, label)]


@pytest.mark.parametrize("label", ["Component", "WorkerId", "NodeAddress", "ReplicaId", "replica", "pid", "ip", "le"])
def test_a_label_that_tells_series_apart_is_not_dropped(monitored: Manifests, label: str) -> None:
    """Series that differ in nothing else would become one, of which Prometheus keeps any sample."""
    assert not [regex for regex in relabelings(monitored, "labeldrop") if re.fullmatch(regex, label)]


def test_the_dashboard_is_a_config_map_that_grafana_finds(monitored: Manifests) -> None:
    config = monitored.of_kind("ConfigMap")["inference-dashboard"]
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(config["data"]["dashboard.json"])["title"] == "Inference for Qdrant"
    kubernetes_validate.validate(config, "1.34", strict=True)
