"""What controllers and KubeRay make of the manifests, and which nodes it needs: the table in k8s/README.md."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml

from tests.support.control_plane import ControlPlane, running
from tests.support.manifests import README, Document, Manifests, composed, selects
from tests.support.nodes import ALLOCATABLE

NAMESPACE = "qdrant-inference"


@dataclass(frozen=True)
class Live:
    """An overlay that was applied, on the nodes that the page says are enough."""

    plane: ControlPlane
    manifests: Manifests

    def pods(self) -> list[Document]:
        return self.plane.list("pods", NAMESPACE)


CASES = {
    "base": ("base", ("node-pools",), {"cpu": 2, "small": 2, "qdrant": 3}),
    "gpu": ("overlays/gpu", ("node-pools", "ephemeral-storage"), {"cpu": 2, "small": 2, "qdrant": 3, "gpu": 1}),
    "kind": ("overlays/kind", (), {"machine": 1}),
}


@pytest.fixture(scope="module", params=CASES)
def live(request: pytest.FixtureRequest, programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    place, components, nodes = CASES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    manifests = composed(folder, place, components)
    with running(folder, controllers=True) as plane:
        made = [node(pool, number) for pool, count in nodes.items() for number in range(count)]
        plane.apply(yaml.safe_dump_all([*made, *volumes(manifests)]))
        plane.apply(manifests.text)
        found = Live(plane, manifests)
        plane.until(lambda: len(found.pods()) >= sum(expected(manifests).values()))
        yield found


def node(pool: str, number: int) -> Document:
    labels = {
        "kubernetes.io/hostname": f"{pool}-{number}",
        "topology.kubernetes.io/zone": f"zone-{number}",
        "qdrant-inference/pool": pool,
    }
    if pool == "gpu":
        labels["nvidia.com/gpu.present"] = "true"
    taints = [] if pool == "machine" else [{"key": "qdrant-inference/pool", "value": pool, "effect": "NoSchedule"}]
    room = {**ALLOCATABLE[pool], "pods": "110", "ephemeral-storage": "100Gi"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"{pool}-{number}", "labels": labels},
        "spec": {"taints": taints},
        "status": {"capacity": room, "allocatable": room},
    }


def volumes(manifests: Manifests) -> Iterator[Document]:
    """One for each claim that there will be."""
    claims = list(manifests.of_kind("PersistentVolumeClaim").values())
    for one in manifests.of_kind("StatefulSet").values():
        claims += one["spec"]["volumeClaimTemplates"] * one["spec"]["replicas"]
    for number, claim in enumerate(claims):
        yield {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"volume-{number}"},
            "spec": {
                "capacity": claim["spec"]["resources"]["requests"],
                "accessModes": claim["spec"]["accessModes"],
                "hostPath": {"path": f"/nowhere/{number}"},
            },
        }


def expected(manifests: Manifests) -> Counter[str]:
    """How many pods of each kind there are to begin with."""
    groups = {name: group["minReplicas"] for name, group in manifests.worker_groups.items()}
    sets = {name: one["spec"]["replicas"] for name, one in manifests.of_kind("StatefulSet").items()}
    return +Counter({"headgroup": 1, **groups, **sets})


def kind_of(pod: Document) -> str:
    labels = pod["metadata"]["labels"]
    return str(labels.get("ray.io/group") or labels["app.kubernetes.io/component"])


def test_every_pod_is_there_and_let_in(live: Live) -> None:
    assert Counter(kind_of(pod) for pod in live.pods()) == expected(live.manifests)
    refused = [event for event in live.plane.list("events", NAMESPACE) if "forbidden" in event.get("message", "")]
    assert refused == []


def test_every_pod_has_a_node(live: Live) -> None:
    """On as many nodes as the page names, whichever pod comes first."""
    live.plane.until(lambda: all("nodeName" in pod["spec"] for pod in live.pods()))


def test_selectors_choose_the_pods_that_there_are(live: Live) -> None:
    labels = [pod["metadata"]["labels"] for pod in live.pods()]
    services = [one for one in live.plane.list("services", NAMESPACE) if one["spec"].get("selector")]
    assert any(one["metadata"]["name"].endswith("-head-svc") for one in services)
    chosen = [{"matchLabels": one["spec"]["selector"]} for one in services]
    chosen += [one["spec"]["podSelector"] for one in live.plane.list("networkpolicies", NAMESPACE)]
    coming = {"matchLabels": {"app.kubernetes.io/part-of": NAMESPACE, "app.kubernetes.io/component": "ray-gpu"}}
    chosen += [one["spec"]["selector"] for one in live.plane.list("poddisruptionbudgets", NAMESPACE)]
    for selector in chosen:
        assert selector == coming or any(selects(selector, one) for one in labels), selector


def test_process_1_is_ray_which_drains_its_node_when_it_is_told_to_end(live: Live) -> None:
    """A shell gives its place to the last command that it was given."""
    for pod in live.pods():
        if "ray.io/group" in pod["metadata"]["labels"]:
            container = pod["spec"]["containers"][0]
            assert container["command"] == ["/bin/bash", "-c", "--"]
            assert re.fullmatch(r"ulimit -n \d+; ray start [^;&|]*--block[^;&|]*", container["args"][0]), container[
                "args"
            ]


def test_ray_is_told_of_the_resources_of_a_group_as_it_reads_them(live: Live) -> None:
    (internet,) = (pod for pod in live.pods() if kind_of(pod) == "internet")
    assert re.search(r"""--resources='\{"internet": ?\d\}'""", internet["spec"]["containers"][0]["args"][0])


PASSING = ("found 0 head.", "already exists", "the object has been modified")
"""What KubeRay logs as an error when it reads what it has just written, or two of its controllers write at a time."""


def test_the_operator_has_no_complaint(live: Live) -> None:
    errors = [line for line in live.plane.log("kuberay-operator") if '"level":"error"' in line]
    assert [line for line in errors if not any(words in line for words in PASSING)] == []


def test_bounds_of_a_group_are_changed_in_the_ray_cluster_as_the_page_says(live: Live) -> None:
    def clusters() -> list[int]:
        return [one["spec"]["workerGroupSpecs"][0]["maxReplicas"] for one in live.plane.list("rayclusters", NAMESPACE)]

    (before,) = clusters()
    (patch,) = re.findall(r"patch raycluster \"\$cluster\" --type json \\\n +-p '(\[.+\])'", README)
    change = patch.replace('"value": 12', f'"value": {before + 1}')
    service = change.replace("/spec/", "/spec/rayClusterConfig/")
    done = live.plane.kubectl(
        "--namespace", NAMESPACE, "patch", "rayservice", "inference", "--type=json", "-p", service
    )
    assert done.returncode == 0, done.stderr
    (name,) = (one["metadata"]["name"] for one in live.plane.list("rayclusters", NAMESPACE))
    done = live.plane.kubectl("--namespace", NAMESPACE, "patch", "raycluster", name, "--type=json", "-p", change)
    assert done.returncode == 0, done.stderr
    live.plane.until(lambda: clusters() == [before + 1])


def test_a_gpu_pod_goes_to_a_node_with_a_gpu(live: Live) -> None:
    if "gpu-0" not in {one["metadata"]["name"] for one in live.plane.list("nodes")}:
        pytest.skip("there is no node with a GPU")
    (name,) = (one["metadata"]["name"] for one in live.plane.list("rayclusters", NAMESPACE))
    grown = '[{"op": "replace", "path": "/spec/workerGroupSpecs/2/minReplicas", "value": 1}]'
    live.plane.kubectl("--namespace", NAMESPACE, "patch", "raycluster", name, "--type=json", "-p", grown)
    live.plane.until(lambda: [pod["spec"].get("nodeName") for pod in live.pods() if kind_of(pod) == "gpu"] == ["gpu-0"])
