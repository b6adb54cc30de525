"""What one document says of another is so: names, keys, ports, labels, images, files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from serve_app.config.environment import read
from serve_app.config.ray_environment import SUPPORTED
from tests.support.manifests import (
    PLACES,
    README,
    Document,
    Manifests,
    labels_of,
    port_names,
    rendered,
    selects,
    settings,
    values_of,
)

HOME = Path(__file__).parents[2]
BUILT_HERE = {"qdrant-inference-cpu", "qdrant-inference-gpu"}
FROM_ELSEWHERE = {"qdrant/qdrant", "redis"}
OF_OUR_REGISTRY = re.compile(r"^(registry\.internal/)?(?P<name>[a-z/-]+):(?P<tag>[\w.-]+)$")


def test_config_maps_and_claims_exist(manifests: Manifests) -> None:
    for pod in manifests.pods.values():
        assert {ref["name"] for ref in values_of("configMapRef", pod)} <= manifests.of_kind("ConfigMap").keys()
        assert set(values_of("claimName", pod)) <= manifests.of_kind("PersistentVolumeClaim").keys()


def test_every_claim_asks_for_storage(manifests: Manifests) -> None:
    templates = [c for d in manifests.of_kind("StatefulSet").values() for c in d["spec"]["volumeClaimTemplates"]]
    for claim in (*manifests.of_kind("PersistentVolumeClaim").values(), *templates):
        assert claim["spec"]["resources"]["requests"].keys() == {"storage"}, claim["metadata"]["name"]


def test_the_readme_creates_every_secret_with_its_keys(manifests: Manifests) -> None:
    created = dict(re.findall(r"create secret generic ([\w-]+) --from-literal=([\w-]+)=", README))
    named = {(ref["name"], ref["key"]) for ref in values_of("secretKeyRef", manifests.documents)}
    assert named <= created.items()
    assert manifests.of_kind("Secret") == {}, "no secret stands in the repository"


def test_every_mounted_volume_is_there(manifests: Manifests) -> None:
    sets = manifests.of_kind("StatefulSet")
    for name, pod in manifests.pods.items():
        claims = sets[name]["spec"]["volumeClaimTemplates"] if name in sets else ()
        volumes = {*(v["name"] for v in pod["spec"].get("volumes", ())), *(c["metadata"]["name"] for c in claims)}
        assert {mount["name"] for mounts in values_of("volumeMounts", pod) for mount in mounts} <= volumes, name


def test_every_image_is_pinned_and_known(manifests: Manifests) -> None:
    targets = set(re.findall(r"--target (\w+)", (HOME / "Dockerfile").read_text(encoding="utf-8")))
    assert {f"qdrant-inference-{target}" for target in targets} == BUILT_HERE
    for place, container in manifests.containers():
        match = OF_OUR_REGISTRY.match(container["image"])
        assert match, f"{place}: {container['image']}"
        assert match["name"] in BUILT_HERE | FROM_ELSEWHERE, place
        assert match["tag"] != "latest", place
    ours = {c["image"].rpartition(":")[2] for _, c in manifests.containers() if "qdrant-inference" in c["image"]}
    assert ours == {re.search(r'^version = "(.+)"', (HOME / "pyproject.toml").read_text(), re.MULTILINE)[1]}  # type: ignore[index]


def test_only_gpu_pods_run_the_gpu_image(manifests: Manifests) -> None:
    for name, pod in manifests.ray_pods.items():
        for container in (*pod["spec"]["initContainers"], *pod["spec"]["containers"]):
            assert ("gpu" in container["image"]) == (name == "gpu"), name


def test_rays_version_is_the_one_that_is_installed(manifests: Manifests) -> None:
    assert f'"ray[serve]=={manifests.cluster["rayVersion"]}"' in (HOME / "pyproject.toml").read_text()


def test_ports_are_those_of_the_serve_config(manifests: Manifests) -> None:
    config = manifests.serve_config
    wanted = {"serve": config["http_options"]["port"], "serve-grpc": config["grpc_options"]["port"]}
    for name, pod in manifests.ray_pods.items():
        ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
        assert ports.items() >= wanted.items(), name
    assert config["http_options"]["host"] == "0.0.0.0"
    assert config["proxy_location"] == "EveryNode", "KubeRay's Service leads to all workers"


def test_ports_named_by_services_probes_and_policies_exist(manifests: Manifests) -> None:
    for policy in manifests.of_kind("NetworkPolicy").values():
        chosen = [pod for pod in manifests.pods.values() if selects(policy["spec"]["podSelector"], labels_of(pod))]
        assert chosen, f"{policy['metadata']['name']} chooses no pod"
        named = {p["port"] for rule in policy["spec"].get("ingress", ()) for p in rule.get("ports", ())}
        for pod in chosen:
            assert {port for port in named if isinstance(port, str)} <= port_names(pod)
    for service in manifests.of_kind("Service").values():
        (pod,) = (
            p for p in manifests.pods.values() if selects({"matchLabels": service["spec"]["selector"]}, labels_of(p))
        )
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= port_names(pod)
    for place, container in manifests.containers():
        for probe in [*values_of("httpGet", container), *values_of("tcpSocket", container)]:
            names = {port["name"] for port in container["ports"]}
            assert probe["port"] in names | {52365}, place


def test_labels_that_policies_and_budgets_choose_exist(manifests: Manifests) -> None:
    for document in (*manifests.of_kind("NetworkPolicy").values(), *manifests.of_kind("PodDisruptionBudget").values()):
        for peer in values_of("podSelector", document):
            outside = peer.get("matchLabels", {}).keys() & {"k8s-app"}
            assert outside or any(selects(peer, labels_of(pod)) for pod in manifests.pods.values()), document[
                "metadata"
            ]
    for budget in manifests.of_kind("PodDisruptionBudget").values():
        assert any(selects(budget["spec"]["selector"], labels_of(pod)) for pod in manifests.pods.values())


def test_the_head_service_of_kuberay_finds_the_head(manifests: Manifests) -> None:
    """KubeRay's Service looks for these labels with values of its own, and a template's own values win."""
    for name, pod in manifests.cluster["headGroupSpec"]["template"].items():
        if name == "metadata":
            assert not {"app.kubernetes.io/name", "app.kubernetes.io/created-by"} & pod["labels"].keys()


def test_budgets_of_ray_pods_are_numbers_to_keep(manifests: Manifests) -> None:
    for name, budget in manifests.of_kind("PodDisruptionBudget").items():
        if name.startswith("ray-"):
            assert isinstance(budget["spec"]["minAvailable"], int)


def test_every_ray_container_has_the_supported_way_to_run_switched_on(manifests: Manifests) -> None:
    for name, pod in manifests.ray_pods.items():
        given = {item["name"]: item.get("value") for item in pod["spec"]["containers"][0]["env"]}
        assert given.items() >= SUPPORTED.items(), name


def test_the_gateway_asks_for_the_key_that_qdrant_asks_for(manifests: Manifests) -> None:
    def source(container: Document, name: str) -> Any:
        return next(item["valueFrom"] for item in container["env"] if item["name"] == name)

    expected = source(manifests.pods["qdrant"]["spec"]["containers"][0], "QDRANT__SERVICE__API_KEY")
    for name, pod in manifests.ray_pods.items():
        assert source(pod["spec"]["containers"][0], "QDRANT_API_KEY") == expected, name


def test_the_settings_are_what_the_gateway_reads(manifests: Manifests) -> None:
    environment = read(settings(manifests))
    assert len(environment.qdrant_url) == len(environment.qdrant_grpc_url)
    names = {f"{url.partition('//')[2].partition(':')[0]}" for url in environment.qdrant_url}
    replicas = manifests.of_kind("StatefulSet")["qdrant"]["spec"]["replicas"]
    assert names == {f"qdrant-{number}.qdrant-headless" for number in range(replicas)}


def test_what_is_pulled_is_what_is_served(manifests: Manifests) -> None:
    served = manifests.serve_config["applications"][0]["args"]["catalogue"]
    assert settings(manifests)["CATALOGUE"] == served
    assert (HOME / served).exists()
    for pod in manifests.ray_pods.values():
        assert any("CATALOGUE" in " ".join(c["command"]) for c in pod["spec"]["initContainers"])


def test_only_one_group_writes_the_models_and_the_cache_is_where_they_are_mounted(manifests: Manifests) -> None:
    for place, container in manifests.containers():
        for mount in container.get("volumeMounts", ()):
            if mount["name"] == "models":
                assert mount["mountPath"] == settings(manifests)["QDRANT_INFERENCE_CACHE"]
                assert mount.get("readOnly", False) == (place != "internet/pull-models"), place


def test_what_is_built_from_the_models_is_kept_where_pods_may_write(manifests: Manifests) -> None:
    folder = Path(settings(manifests)["QDRANT_INFERENCE_GRAPHS"])
    for name, pod in manifests.ray_pods.items():
        mounts = {
            m["name"] for m in pod["spec"]["containers"][0]["volumeMounts"] if Path(m["mountPath"]) in folder.parents
        }
        assert [v["emptyDir"] for v in pod["spec"]["volumes"] if v["name"] in mounts] == [{}], name


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_rendering_twice_gives_the_same(place: str) -> None:
    first = rendered(place)
    rendered.cache_clear()
    assert rendered(place) == first
