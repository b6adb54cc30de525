"""The table of nodes in k8s/README.md: all pods fit on as many, at the least and at the most, if pools are apart."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from serve_app.config.resources import Resources, bytes_of, nodes_needed
from tests.support.manifests import README, Document, Manifests, composed
from tests.support.nodes import ALLOCATABLE


def quantities(asked: Document) -> Resources:
    cpu = str(asked["cpu"])
    cores = float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
    return Resources(cores, float(asked.get("nvidia.com/gpu", 0)), bytes_of(asked["memory"]))


def requested(containers: list[Document]) -> Resources:
    return sum((quantities(container["resources"]["requests"]) for container in containers), Resources())


def nodes(manifests: Manifests, bound: str) -> dict[str, int | None]:
    """How many nodes of each pool the pods need, the groups at a bound of theirs."""
    pods: dict[str, list[Resources]] = {}
    sets = manifests.of_kind("StatefulSet")
    for name, pod in manifests.pods.items():
        count = manifests.worker_groups[name][bound] if name in manifests.worker_groups else 1
        count = sets[name]["spec"]["replicas"] if name in sets else count
        beside = [manifests.cluster["autoscalerOptions"]] if name == "headgroup" else []
        one = requested([*pod["spec"]["containers"], *beside])
        pods.setdefault(pod["spec"].get("nodeSelector", {}).get("qdrant-inference/pool", "machine"), []).extend(
            [one] * count
        )
    return {pool: nodes_needed(quantities(ALLOCATABLE[pool]), found) for pool, found in pods.items() if found}


def row(overlay: str) -> list[int]:
    """The numbers of an overlay's last two columns."""
    (cells,) = re.findall(rf"^\| `{overlay}` \|[^|]*\|([^|]*)\|([^|]*)\|$", README, re.MULTILINE)
    return [int(number) for cell in cells for number in re.findall(r"(\d+)(?! cores)", cell)]


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Manifests]:
    return {
        place: composed(tmp_path_factory.mktemp("pools"), place, ("node-pools",)) for place in ("base", "overlays/gpu")
    }


def test_the_base(pools: dict[str, Manifests]) -> None:
    least, most = (nodes(pools["base"], bound) for bound in ("minReplicas", "maxReplicas"))
    assert [least["cpu"], least["small"], most["cpu"], most["small"]] == row("base")
    assert least["qdrant"] == most["qdrant"] == 3


def test_with_gpus(pools: dict[str, Manifests]) -> None:
    most = nodes(pools["overlays/gpu"], "maxReplicas")
    assert [1, most["cpu"], most["small"], most["gpu"]] == row("overlays/gpu")


def test_the_trial_is_one_machine() -> None:
    assert nodes(Manifests("overlays/kind"), "minReplicas") == {"machine": 1}


def test_without_pools_a_small_pod_can_take_the_place_of_a_worker() -> None:
    """Why the page says that the table holds with pools."""
    pods = Manifests("base").pods
    left = quantities(ALLOCATABLE["cpu"]) - requested(pods["internet"]["spec"]["containers"])
    assert not left.holds(requested(pods["cpu"]["spec"]["containers"]))


def test_the_component_names_the_pools(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "k8s/components/node-pools/kustomization.yaml").read_text("utf-8")
    named = set(re.findall(r"^#   qdrant-inference/pool=(\w+)", text, re.MULTILINE))
    chosen = {
        pod["spec"]["nodeSelector"]["qdrant-inference/pool"]
        for pod in composed(tmp_path, "base", ("node-pools",)).pods.values()
    }
    assert named == chosen == ALLOCATABLE.keys() - {"machine"}
