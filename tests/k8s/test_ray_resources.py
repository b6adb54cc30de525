"""What deployments ask of Ray, what Ray thinks that its pods have, and what Kubernetes gives them: all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serve_app.cli.config_check import check
from serve_app.config.resources import Demand, Resources, bytes_of, nodes_needed
from tests.support.manifests import SERVE_CONFIGS, Document, Manifests

HOME = Path(__file__).parents[2]
GPU_MEMORY = 22.5 * 2**30
"""Of an L4, as its driver tells it."""
CUDA_PER_PROCESS = 2**29


def as_ray_sees_it(manifests: Manifests) -> dict[str, Resources]:
    """Each group's resources, by the code with which Ray's autoscaler reads a RayCluster."""
    from ray.autoscaler._private.kuberay import autoscaling_config  # noqa: PLC0415  takes seconds to import

    cluster = {"metadata": {"name": "x", "namespace": "y"}, "spec": manifests.cluster}
    types = autoscaling_config._derive_autoscaling_config_from_ray_cr(cluster)["available_node_types"]
    seen = {name: dict(node["resources"]) for name, node in types.items()}
    return {
        name: Resources(node.pop("CPU"), node.pop("GPU", 0), node.pop("memory"), node) for name, node in seen.items()
    }


def cores(quantity: str) -> float:
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def given(pod: Document) -> Resources:
    """What Kubernetes gives the Ray container of a pod."""
    resources = pod["spec"]["containers"][0]["resources"]
    requests, limits = resources["requests"], resources["limits"]
    assert requests["memory"] == limits["memory"]
    assert requests.get("nvidia.com/gpu") == limits.get("nvidia.com/gpu")
    gpus = float(limits.get("nvidia.com/gpu", 0))
    return Resources(cores(requests["cpu"]), gpus, bytes_of(limits["memory"]))


def demands(manifests: Manifests) -> list[Demand]:
    return check(HOME / SERVE_CONFIGS[manifests.place])


def at_home(demand: Demand) -> str:
    """The group whose nodes a deployment's replicas run on."""
    if demand.replica.custom:
        return "internet"
    return "gpu" if demand.replica.gpus else "cpu"


def test_ray_offers_the_cores_and_gpus_that_the_container_has(manifests: Manifests) -> None:
    seen = as_ray_sees_it(manifests)
    for name, group in manifests.worker_groups.items():
        container = given(group["template"])
        assert seen[name].gpus == container.gpus, name
        offered = {"cpu": seen[name].cpus, "internet": seen[name].custom.get("internet")}.get(name)
        assert offered in {container.cpus, None}, name
        assert seen[name].cpus in {0, container.cpus}, f"{name}: all of its cores or none"


def test_own_resources_are_quoted_as_the_operator_reads_them_too(manifests: Manifests) -> None:
    """Ray's autoscaler cuts off one character at each end; KubeRay's operator only single quotes."""
    written = [group["rayStartParams"].get("resources") for group in manifests.worker_groups.values()]
    (text,) = filter(None, written)
    assert text[0] == text[-1] == "'"
    assert json.loads(text[1:-1]).keys() == {"internet"}


def test_no_replica_comes_to_the_head(manifests: Manifests) -> None:
    head = as_ray_sees_it(manifests)["headgroup"]
    assert (head.cpus, head.gpus, head.custom) == (0, 0, {})


def test_ray_leaves_memory_for_itself_and_for_its_object_store(manifests: Manifests) -> None:
    seen = as_ray_sees_it(manifests)
    for name, group in manifests.worker_groups.items():
        store = int(group["rayStartParams"]["object-store-memory"])
        assert seen[name].memory + store + 2**29 <= given(group["template"]).memory, name


@pytest.mark.parametrize("most", [False, True], ids=["least", "most"])
def test_the_groups_have_room_for_all_replicas(manifests: Manifests, most: bool) -> None:
    seen = as_ray_sees_it(manifests)
    wanted: dict[str, list[Resources]] = {}
    for demand in demands(manifests):
        count = demand.most if most else demand.least
        wanted.setdefault(at_home(demand), []).extend([demand.replica] * count)
    for name, replicas in wanted.items():
        group = manifests.worker_groups[name]
        nodes = nodes_needed(seen[name], replicas)
        assert nodes is not None, f"a replica is too large for the group {name}"
        # A group at its least starts with what its deployments need, but for GPUs, which come when they are asked for.
        limit = group["maxReplicas"] if most or name == "gpu" else group["minReplicas"]
        assert nodes <= limit, name


def test_nothing_else_fits_on_the_nodes_with_gpus_or_a_way_to_the_internet(manifests: Manifests) -> None:
    seen = as_ray_sees_it(manifests)
    for demand in demands(manifests):
        for name in {"gpu", "internet"} & seen.keys() - {at_home(demand)}:
            assert not seen[name].holds(demand.replica), f"{demand.deployment} could settle on {name}"


def test_threads_are_as_many_as_cores(manifests: Manifests) -> None:
    """Left at 0, what reserves less than a core takes a thread for each core of the machine."""
    for deployment in manifests.serve_config["applications"][0]["deployments"]:
        if deployment["name"] in {"Ingress", "qdrant--bm25"}:
            continue
        options = deployment["ray_actor_options"]
        counted = options.get("resources", {}).get("internet") or options["num_cpus"]
        assert deployment["user_config"]["threads"] == max(1, counted), deployment["name"]


def test_replicas_tokenize_on_their_share_of_a_gpu_nodes_cores() -> None:
    """Ray does not count them, so that nothing else settles there."""
    manifests = Manifests("overlays/gpu")
    pod = given(manifests.worker_groups["gpu"]["template"])
    for deployment in manifests.serve_config["applications"][0]["deployments"]:
        if share := deployment["ray_actor_options"].get("num_gpus"):
            threads = deployment["user_config"]["tokenizing_threads"]
            assert threads == max(1, int(share * pod.cpus)), deployment["name"]


def test_replicas_keep_to_their_share_of_a_gpus_memory() -> None:
    deployments = Manifests("overlays/gpu").serve_config["applications"][0]["deployments"]
    sharing = [deployment for deployment in deployments if "num_gpus" in deployment["ray_actor_options"]]
    assert sharing
    for deployment in sharing:
        taken = deployment["user_config"]["gpu_mem_limit"] + CUDA_PER_PROCESS
        assert taken <= deployment["ray_actor_options"]["num_gpus"] * GPU_MEMORY, deployment["name"]


def test_groups_start_within_their_bounds(manifests: Manifests) -> None:
    for name, group in manifests.worker_groups.items():
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"], name


def test_the_trial_has_room_for_an_upgrade_on_six_cores() -> None:
    """A second cluster starts beside the first. What kind itself takes: 0.95 cores, and the operator 0.1."""
    trial = Manifests("overlays/kind")
    autoscaler = cores(trial.cluster["autoscalerOptions"]["resources"]["requests"]["cpu"])
    cluster = autoscaler + sum(_requested(pod) for pod in trial.ray_pods.values())
    beside = sum(_requested(pod) for name, pod in trial.pods.items() if name not in trial.ray_pods)
    assert 2 * cluster + beside + 1.05 <= 6


def _requested(pod: Document) -> float:
    """Cores that a pod asks for: of its containers together, or of the greatest that runs before them."""
    first = [cores(c["resources"]["requests"]["cpu"]) for c in pod["spec"].get("initContainers", ())]
    return max([*first, sum(cores(c["resources"]["requests"]["cpu"]) for c in pod["spec"]["containers"])])
