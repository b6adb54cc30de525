"""The example of an overlay with files of one's own and a Qdrant elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from deployments.catalogue import catalogue
from serve_app.auth import tenants
from serve_app.cli.config_check import check
from tests.support.manifest_schemas import check_documents, check_ray_pods, check_ray_service
from tests.support.manifests import HOME, Manifests, selects, settings, values_of

FOLDER = HOME / "k8s" / "examples" / "own"


@pytest.fixture(scope="module")
def example() -> Manifests:
    return Manifests("examples/own")


def test_all_ray_pods_and_whoever_waits_in_them_see_the_files(example: Manifests) -> None:
    (files,) = (name for name in example.of_kind("ConfigMap") if name.startswith("own-"))
    assert len(example.ray_pods) == 4
    for name, pod in example.ray_pods.items():
        assert {"name": "own", "configMap": {"name": files}} in pod["spec"]["volumes"], name
        for container in (*pod["spec"]["initContainers"], *pod["spec"]["containers"]):
            assert {"name": "own", "mountPath": "/own", "readOnly": True} in container["volumeMounts"], name


def test_the_settings_name_files_that_are_there(example: Manifests) -> None:
    (held,) = (d["data"] for name, d in example.of_kind("ConfigMap").items() if name.startswith("own-"))
    named = {Path(value).name for value in settings(example).values() if value.startswith("/own/")}
    assert named == held.keys()
    assert example.serve_config["applications"][0]["args"]["catalogue"] == settings(example)["CATALOGUE"]


def test_the_files_are_what_the_gateway_reads(tmp_path: Path) -> None:
    assert tenants.load(FOLDER / "tenants.yaml")
    assert list(catalogue.load(FOLDER / "catalogue.yaml"))
    config = yaml.safe_load((FOLDER / "serve.yaml").read_text())
    config["applications"][0]["args"]["catalogue"] = str(FOLDER / "catalogue.yaml")
    here = tmp_path / "serve.yaml"
    here.write_text(yaml.safe_dump(config))
    listed = {deployment["name"] for deployment in config["applications"][0]["deployments"]}
    assert {demand.deployment for demand in check(here)} == listed


@pytest.mark.slow
def test_what_is_rendered_is_what_kuberay_and_kubernetes_take(example: Manifests) -> None:
    check_ray_service(example.ray_service)
    check_ray_pods(example)
    check_documents(example)


def test_nothing_of_qdrant_is_left(example: Manifests) -> None:
    assert example.of_kind("StatefulSet").keys() == {"redis"}
    assert not [d for d in example.documents if d["metadata"]["name"].startswith("qdrant") and d["kind"] != "Namespace"]
    chosen = [peer for document in example.documents for peer in values_of("podSelector", document)]
    assert not [peer for peer in chosen if selects(peer, {"app.kubernetes.io/component": "qdrant"}) and peer]
    (rule,) = example.of_kind("NetworkPolicy")["ray-to-qdrant"]["spec"]["egress"]
    assert all("ipBlock" in peer for peer in rule["to"])
