"""The components: each changes what it says, together with every other, and names nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest

from deployments.catalogue.catalogue import HOME
from serve_app.config.resources import bytes_of
from tests.support.kubernetes_programs import definitions
from tests.support.manifest_schemas import check_documents, check_others, check_ray_pods, check_ray_service
from tests.support.manifests import COMPONENTS, OF_COMPONENTS, README, Document, Manifests, composed, selects

PAGE = re.findall(r"^\| `components/([\w-]+)` \|", README, re.MULTILINE)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Manifests:
    return composed(tmp_path_factory.mktemp("everything"), "base", COMPONENTS)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Manifests:
    """The base with all that lets clients in from outside, without TLS."""
    return composed(tmp_path_factory.mktemp("opened"), "base", ("ingress", "gateway"))


def test_the_page_lists_every_component() -> None:
    folders = {folder.name for folder in (HOME / "k8s" / "components").iterdir()}
    assert folders == set(PAGE) == set(COMPONENTS)


def test_pods_and_the_ray_service_are_still_what_kuberay_and_kubernetes_take(everything: Manifests) -> None:
    check_ray_service(everything.ray_service)
    check_ray_pods(everything)
    check_documents(everything)


def test_documents_of_others_types_are_what_their_makers_take(everything: Manifests) -> None:
    if not all(definitions(module).is_dir() for module in OF_COMPONENTS.values()):
        pytest.skip("the types are not there; `make test-manifests` fetches them")
    assert check_others(everything) == OF_COMPONENTS.keys()
    (gateway,) = (document for document in everything.documents if document["kind"] == "Gateway")
    misspelled = {**gateway, "spec": {**gateway["spec"], "gatewayClass": "x"}}
    everything.documents.append(misspelled)
    try:
        with pytest.raises(jsonschema.ValidationError, match="gatewayClass"):
            check_others(everything)
    finally:
        everything.documents.remove(misspelled)


@pytest.mark.parametrize("overlay", ["overlays/gpu", "overlays/air-gapped"])
def test_components_go_with_other_overlays(overlay: str, tmp_path: Path) -> None:
    assert composed(tmp_path, overlay, COMPONENTS).of_kind("RayService")


def test_hosts_lead_to_the_ports_of_the_service(opened: Manifests) -> None:
    ports = {"serve": 6333, "serve-grpc": 6334}
    for name, port in (("inference", "serve"), ("inference-grpc", "serve-grpc")):
        (rule,) = opened.of_kind("Ingress")[name]["spec"]["rules"]
        (path,) = rule["http"]["paths"]
        assert path["backend"] == {"service": {"name": "inference-serve-svc", "port": {"name": port}}}
    for kind, port in (("HTTPRoute", "serve"), ("GRPCRoute", "serve-grpc")):
        (rule,) = opened.of_kind(kind)["inference"]["spec"]["rules"]
        assert rule["backendRefs"] == [{"name": "inference-serve-svc", "port": ports[port]}]


def test_every_route_has_a_listener_of_its_host(opened: Manifests) -> None:
    listeners = {one["name"]: one for one in opened.of_kind("Gateway")["inference"]["spec"]["listeners"]}
    for kind in ("HTTPRoute", "GRPCRoute"):
        spec = opened.of_kind(kind)["inference"]["spec"]
        (parent,) = spec["parentRefs"]
        assert parent["name"] == "inference"
        assert spec["hostnames"] == [listeners[parent["sectionName"]]["hostname"]]
    assert {one["protocol"] for one in listeners.values()} == {"HTTP"}


def test_with_tls_all_hosts_have_the_certificate(everything: Manifests) -> None:
    certificate = everything.of_kind("Certificate")["inference"]["spec"]
    listeners = everything.of_kind("Gateway")["inference"]["spec"]["listeners"]
    for one in listeners:
        assert (one["protocol"], one["port"]) == ("HTTPS", 443)
        assert one["tls"]["certificateRefs"] == [{"name": certificate["secretName"]}]
    assert {one["hostname"] for one in listeners} == set(certificate["dnsNames"])
    for ingress in everything.of_kind("Ingress").values():
        (tls,) = ingress["spec"]["tls"]
        assert tls == {
            "hosts": [ingress["spec"]["rules"][0]["host"]],
            "secretName": certificate["secretName"],
        }


def test_secrets_from_outside_are_those_that_are_needed(everything: Manifests) -> None:
    made = {
        (document["spec"]["target"]["name"], entry["secretKey"])
        for document in everything.of_kind("ExternalSecret").values()
        for entry in document["spec"]["data"]
    }
    needed = {("redis", "password"), ("qdrant", "api-key"), ("front", "key")}
    created = dict(re.findall(r"create secret generic ([\w-]+) --from-literal=([\w-]+)=", README))
    assert made == needed
    assert needed <= created.items()


def test_each_kind_of_pod_has_its_pool_and_may_run_there(everything: Manifests) -> None:
    pools = {
        "headgroup": "small",
        "redis": "small",
        "cpu": "cpu",
        "internet": "small",
        "gpu": "gpu",
        "qdrant": "qdrant",
    }
    for name, pod in everything.pods.items():
        assert pod["spec"]["nodeSelector"]["qdrant-inference/pool"] == pools[name], name
        tolerated = {"key": "qdrant-inference/pool", "value": pools[name], "effect": "NoSchedule"}
        assert tolerated in pod["spec"]["tolerations"], name
    gpu = everything.pods["gpu"]["spec"]
    assert gpu["nodeSelector"]["nvidia.com/gpu.present"] == "true"
    assert any(toleration["key"] == "nvidia.com/gpu" for toleration in gpu["tolerations"])


def test_every_container_and_every_folder_that_pods_write_to_is_bounded(everything: Manifests) -> None:
    for place, container in everything.containers():
        assert bounded(container), place
    assert bounded(everything.cluster["autoscalerOptions"])
    for name, pod in everything.pods.items():
        for volume in pod["spec"].get("volumes", ()):
            assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"], name


def bounded(container: Document) -> bool:
    resources = container["resources"]
    requested, limit = (bytes_of(resources[kind]["ephemeral-storage"]) for kind in ("requests", "limits"))
    return bool(0 < requested <= limit)


def test_the_pod_that_answers_a_challenge_is_reached(everything: Manifests) -> None:
    policy = everything.of_kind("NetworkPolicy")["acme-solver"]["spec"]
    assert selects(policy["podSelector"], {"acme.cert-manager.io/http01-solver": "true"})
    assert policy["ingress"]
