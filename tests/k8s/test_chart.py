"""The Helm chart: it renders what kustomize renders for the same choice, and takes no other values than it knows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from deployments.catalogue.catalogue import HOME
from tests.support.chart import CHART, Documents, by_name, helm_template
from tests.support.manifests import COMPONENTS, Manifests, composed

VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
OWN = HOME / "tests" / "data" / "chart"
OWN_VALUES: dict[str, Any] = yaml.safe_load((OWN / "values.yaml").read_text(encoding="utf-8"))
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("place", "values"),
    [
        ("base", {}),
        ("overlays/gpu", {"overlay": "gpu"}),
        ("overlays/air-gapped", {"overlay": "air-gapped"}),
        ("overlays/kind", {"overlay": "kind"}),
        ("overlays/monitored", {"components": ["monitoring"]}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_renders_what_kustomize_renders(place: str, values: dict[str, Any], tmp_path: Path) -> None:
    rendered = by_name(helm_template(tmp_path, {**values, "createNamespace": True}))
    assert rendered == by_name(Manifests(place).text)


@pytest.mark.parametrize("overlay", ["", "gpu", "air-gapped"])
def test_with_all_components_too(overlay: str, tmp_path: Path) -> None:
    rendered = helm_template(tmp_path, {"overlay": overlay, "components": list(COMPONENTS), "createNamespace": True})
    assert by_name(rendered) == by_name(
        composed(tmp_path, f"overlays/{overlay}" if overlay else "base", COMPONENTS).text
    )


def test_values_say_what_patches_say(tmp_path: Path) -> None:
    rendered = by_name(helm_template(tmp_path, OWN_VALUES))
    kustomized = by_name(composed(tmp_path, "base", (), (OWN / "kustomization.yaml").read_text("utf-8")).text)
    for pod in Manifests("base").ray_pods:
        _rename_front(kustomized, pod)
    assert rendered == kustomized


def _rename_front(documents: Documents, group: str) -> None:
    """As the value `secrets.front` does it; a patch of kustomize would need the number of the variable."""
    cluster = documents["RayService", "inference"]["spec"]["rayClusterConfig"]
    groups = {"headgroup": cluster["headGroupSpec"], **{one["groupName"]: one for one in cluster["workerGroupSpecs"]}}
    for variable in groups[group]["template"]["spec"]["containers"][0]["env"]:
        if variable["name"] == "QDRANT_INFERENCE_FRONT_KEY":
            variable["valueFrom"]["secretKeyRef"]["name"] = "other-front"


def test_models_have_the_replicas_and_the_catalogue_of_the_values(tmp_path: Path) -> None:
    model = "sentence-transformers--all-minilm-l6-v2"
    values = {"catalogue": "/own/catalogue.yaml", "models": {model: {"min_replicas": 3, "max_replicas": 9}}}
    service = by_name(helm_template(tmp_path, values))["RayService", "inference"]
    (application,) = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"]
    (unchanged,) = Manifests("base").serve_config["applications"]
    for found, before in zip(application["deployments"], unchanged["deployments"], strict=True):
        wanted = values["models"] if found["name"] == model else {}
        assert found.get("autoscaling_config") == before.get("autoscaling_config", {}) | wanted.get(model, {})  # type: ignore[attr-defined]
    assert application["args"]["catalogue"] == "/own/catalogue.yaml"


def test_hosts_classes_and_the_database_are_those_of_the_values(tmp_path: Path) -> None:
    values = {
        "components": ["ingress", "gateway", "tls", "external-secrets", "monitoring"],
        "hosts": {"rest": "vectors.example.org", "grpc": "grpc.inference.example.com"},
        "ingress": {"className": "own", "annotations": {"a": "b"}},
        "gateway": {"className": "own"},
        "issuerRef": {"kind": "Issuer", "name": "own"},
        "secretStoreRef": {"kind": "SecretStore", "name": "own"},
        "monitoring": {"labels": {"release": "prometheus"}},
        "ledger": {"url": "postgresql://u:p@h/d", "egress": [{"ipBlock": {"cidr": "10.1.1.1/32"}}]},
    }
    found = by_name(helm_template(tmp_path, values))
    assert ("Namespace", "qdrant-inference") not in found
    hosts = found["Certificate", "inference"]["spec"]["dnsNames"]
    assert hosts == ["vectors.example.org", "grpc.inference.example.com"]
    assert [one["hostname"] for one in found["Gateway", "inference"]["spec"]["listeners"]] == hosts
    assert found["Ingress", "inference"]["spec"]["tls"][0]["hosts"] == hosts[:1]
    assert found["Ingress", "inference"]["spec"]["ingressClassName"] == "own"
    assert found["Ingress", "inference"]["metadata"]["annotations"].items() >= {"a": "b"}.items()
    assert found["Gateway", "inference"]["spec"]["gatewayClassName"] == "own"
    assert found["Certificate", "inference"]["spec"]["issuerRef"] == {"group": "cert-manager.io", **values["issuerRef"]}  # type: ignore[dict-item]
    assert found["ExternalSecret", "qdrant"]["spec"]["secretStoreRef"] == values["secretStoreRef"]
    assert found["PodMonitor", "inference"]["metadata"]["labels"] == {"release": "prometheus"}
    assert found["Secret", "ledger"]["stringData"] == {"url": "postgresql://u:p@h/d"}
    (rule,) = found["NetworkPolicy", "ledger"]["spec"]["egress"]
    assert rule == {"to": [{"ipBlock": {"cidr": "10.1.1.1/32"}}], "ports": [{"port": 5432}]}


def test_a_model_that_is_not_served_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no deployment minilm"):
        helm_template(tmp_path, {"models": {"minilm": {"min_replicas": 1}}})


@pytest.mark.parametrize(
    "wrong",
    [
        {"overlay": "gpus"},
        {"components": ["ingres"]},
        {"images": {"cpu": {"tag": "1"}}},
        {"pods": {"cpu": {"nodeselector": {}}}},
        {"pods": {"head": {"maxReplicas": 2}}},
        {"models": {"m": {"min_replicas": -1}}},
        {"storage": {"models": {"size": "much"}}},
        {"qdrant": {"enabled": False, "url": "", "grpcUrl": "", "egress": []}},
        {"ledger": {"url": "mysql://h/d"}},
        {"patches": [{"patch": "$patch: delete"}]},
        {"registri": "x"},
    ],
    ids=str,
)
def test_the_schema_refuses_what_no_value_may_be(wrong: dict[str, Any]) -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(VALUES)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(SCHEMA).validate({**VALUES, **wrong})


def test_the_schema_takes_the_values_of_these_tests_and_knows_all_that_there_are() -> None:
    jsonschema.Draft7Validator(SCHEMA).validate({**VALUES, **OWN_VALUES})
    assert SCHEMA["properties"].keys() - {"global"} == VALUES.keys()
    overlays = {folder.name for folder in (HOME / "k8s" / "overlays").iterdir()}
    assert set(SCHEMA["properties"]["overlay"]["enum"]) - {""} == overlays - {"monitored"}
    assert set(SCHEMA["properties"]["components"]["items"]["enum"]) == set(COMPONENTS)


def test_it_has_the_version_of_the_package_and_its_links_lead_somewhere() -> None:
    (version,) = re.findall(r'^version = "(.+)"$', (HOME / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    about = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert about["version"] == about["appVersion"] == version
    links = [path for path in (CHART / "manifests").rglob("*") if path.is_symlink()]
    assert len(links) == 5
    assert all(link.exists() for link in links)
