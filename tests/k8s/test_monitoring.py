"""The component for Prometheus Operator and Grafana: rendered, and in agreement with the pods that it looks at."""

from __future__ import annotations

import json

import pytest

from tests.k8s.conftest import PLACES, Manifests
from tests.k8s.test_references import labels_of, port_names, selects

kubernetes_validate = pytest.importorskip("kubernetes_validate")
OPERATORS_OWN = {"PodMonitor": "podMetricsEndpoints", "PrometheusRule": "groups"}


@pytest.fixture(scope="module")
def monitored() -> Manifests:
    return Manifests("overlays/monitored")


def test_only_the_component_needs_the_operators_resource_types(monitored: Manifests) -> None:
    assert monitored.of_kind("PodMonitor").keys() == monitored.of_kind("PrometheusRule").keys() == {"inference"}
    for place in PLACES:
        kinds = {document["kind"] for document in Manifests(place).documents}
        assert not kinds & OPERATORS_OWN.keys(), place


def test_the_operators_documents_have_the_parts_that_it_reads(monitored: Manifests) -> None:
    for kind, part in OPERATORS_OWN.items():
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


def test_the_dashboard_is_a_config_map_that_grafana_finds(monitored: Manifests) -> None:
    config = monitored.of_kind("ConfigMap")["inference-dashboard"]
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(config["data"]["dashboard.json"])["title"] == "Inference for Qdrant"
    kubernetes_validate.validate(config, "1.34", strict=True)
