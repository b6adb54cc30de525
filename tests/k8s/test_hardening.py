"""What pods may do, whom they may reach, and what happens to them."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from deployments.catalogue.catalogue import HOME
from deployments.images import hosts
from serve_app.front import guard, haproxy
from tests.support.manifests import README, Document, Manifests, labels_of, selects

METADATA = ip_address("169.254.169.254")
INSIDE = [ip_address(address) for address in ("10.1.2.3", "172.20.0.1", "192.168.1.1", "100.64.0.1", "127.0.0.1")]


def blocks(manifests: Manifests, pod: Document) -> list[Document]:
    """The address blocks that the policies let a pod reach."""
    return [
        peer["ipBlock"]
        for policy in manifests.of_kind("NetworkPolicy").values()
        if selects(policy["spec"]["podSelector"], labels_of(pod))
        for rule in policy["spec"].get("egress", ())
        for peer in rule.get("to", ())
        if "ipBlock" in peer
    ]


def reaches(block: Document, address: object) -> bool:
    inside = [ip_network(cidr) for cidr in block.get("except", ())]
    return address in ip_network(block["cidr"]) and not any(address in network for network in inside)


def test_no_container_has_more_rights_than_it_needs(manifests: Manifests) -> None:
    for name, pod in manifests.pods.items():
        rights = pod["spec"]["securityContext"]
        assert rights["runAsNonRoot"] is True, name
        assert rights["runAsUser"] > 0, name
        assert rights["seccompProfile"] == {"type": "RuntimeDefault"}, name
    autoscaler = ("autoscaler", manifests.cluster["autoscalerOptions"])
    for place, container in (*manifests.containers(), autoscaler):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, place


def test_whoever_cannot_write_its_root_has_a_tmp_and_a_home_there(manifests: Manifests) -> None:
    for name, pod in manifests.ray_pods.items():
        for container in (*pod["spec"]["initContainers"], *pod["spec"]["containers"]):
            assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}, name
            assert {"name": "HOME", "value": "/tmp"} in container["env"], name


def test_rays_processes_ask_each_other_for_a_token(manifests: Manifests) -> None:
    assert manifests.cluster["authOptions"] == {"mode": "token"}
    for place, container in manifests.containers():
        assert "RAY_AUTH_MODE" not in {item["name"] for item in container.get("env", ())}, f"{place}: KubeRay sets it"


def test_haproxy_is_ours_and_shows_a_key_that_all_pods_have(manifests: Manifests) -> None:
    """Else its waits would not end, and whoever is in the pods' network would get past it."""
    scripts = dict(re.findall(r'^([\w-]+) = "(\S+:\w+)"', (HOME / "pyproject.toml").read_text("utf-8"), re.MULTILINE))
    (venv,) = set(
        re.findall(r"^ENV PATH=(\S+):\$PATH", (HOME / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    for name, pod in manifests.ray_pods.items():
        (container,) = pod["spec"]["containers"]
        shown = variables(container)
        folder, _, program = shown[haproxy.RAYS_BINARY].rpartition("/")
        assert folder == venv, name
        assert scripts[program] == f"{haproxy.main.__module__}:{haproxy.main.__name__}", name
        callback = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
        assert shown[callback] == guard.HOOKS[callback], name
        assert haproxy.HOST not in shown, "replicas answer the HAProxy of other pods"
        (key,) = (item for item in container["env"] if item["name"] == haproxy.SECRET)
        assert key["valueFrom"] == {"secretKeyRef": {"name": "front", "key": "key"}}, f"{name}: it is not optional"


def test_what_ray_serve_calls_before_it_opens_ports_is_there() -> None:
    module, _, function = guard.HOOKS["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    module, _, function = guard.HOOKS["__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR"].rpartition(".")
    assert callable(getattr(importlib.import_module(module), function))


def test_nothing_that_we_start_reports_to_its_makers(manifests: Manifests) -> None:
    silent = {"HF_HUB_DISABLE_TELEMETRY": "1", "ORT_DISABLE_TELEMETRY": "1"}
    for name, pod in manifests.ray_pods.items():
        for container in pod["spec"]["initContainers"]:
            assert variables(container).items() >= silent.items(), name
        for container in pod["spec"]["containers"]:
            assert variables(container).items() >= {**silent, "RAY_USAGE_STATS_ENABLED": "0"}.items(), name
    if qdrant := manifests.pods.get("qdrant"):
        assert variables(qdrant["spec"]["containers"][0])["QDRANT__TELEMETRY_DISABLED"] == "true"


def variables(container: Document) -> dict[str, str]:
    return {item["name"]: item["value"] for item in container["env"] if "value" in item}


def test_the_namespace_takes_restricted_pods_only(manifests: Manifests) -> None:
    (namespace,) = manifests.of_kind("Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_pod_that_fills_the_volume_is_a_restricted_one() -> None:
    (overrides,) = re.findall(r"--overrides '(\{.+?\})'", README, re.DOTALL)
    pod = json.loads(overrides)["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_a_budget_is_only_for_pods_that_may_come(manifests: Manifests) -> None:
    groups = {labels_of(g["template"])["app.kubernetes.io/component"]: g for g in manifests.worker_groups.values()}
    for name, budget in manifests.of_kind("PodDisruptionBudget").items():
        component = budget["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"]
        assert component not in groups or groups[component]["maxReplicas"] > 0, name


def test_the_head_comes_back_soon(manifests: Manifests) -> None:
    """Its autoscaler, which ignores SIGTERM, holds it up for the whole of this time."""
    assert manifests.ray_pods["headgroup"]["spec"]["terminationGracePeriodSeconds"] <= 10


def test_a_pull_that_fails_is_tried_again_in_its_pod(manifests: Manifests, tmp_path: Path) -> None:
    """KubeRay sets `restartPolicy: Never`, and a new pod would lose the log."""
    commands = {"qdrant-inference": 'echo again >> "$TRIES"; [ $(wc -l < "$TRIES") -gt 2 ]', "sleep": ":"}
    for name, script in commands.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TRIES": str(tmp_path / "tries"), "CATALOGUE": "x"}
    pulling = [
        container["command"]
        for pod in manifests.ray_pods.values()
        for container in pod["spec"]["initContainers"]
        if container["name"] == "pull-models"
    ]
    assert len(pulling) == (0 if manifests.place == "overlays/air-gapped" else 1)
    for command in pulling:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=10, check=True)
        assert done.stderr.count("the pull failed") == 2


def test_workers_have_no_key_to_kubernetes(manifests: Manifests) -> None:
    for name, pod in manifests.pods.items():
        if name != "headgroup":  # its autoscaler needs one
            assert pod["spec"]["automountServiceAccountToken"] is False, name


def test_all_that_is_not_allowed_is_forbidden(manifests: Manifests) -> None:
    policy = manifests.of_kind("NetworkPolicy")["default-deny"]["spec"]
    assert policy == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_nobody_reaches_the_metadata_service(manifests: Manifests) -> None:
    for name, pod in manifests.pods.items():
        assert not any(reaches(block, METADATA) for block in blocks(manifests, pod)), name


def test_only_the_image_loaders_pods_reach_the_internet_and_nothing_else_by_address(manifests: Manifests) -> None:
    public = ip_address("93.184.215.14")
    reaching = {n for n, pod in manifests.pods.items() if any(reaches(b, public) for b in blocks(manifests, pod))}
    assert reaching == (set() if manifests.place == "overlays/air-gapped" else {"internet"})
    for address in INSIDE:
        assert not any(reaches(block, address) for block in blocks(manifests, manifests.pods["internet"])), address


def test_the_networks_that_are_left_out_are_those_that_the_image_loader_refuses() -> None:
    (rule,) = Manifests("base").of_kind("NetworkPolicy")["internet"]["spec"]["egress"]
    left_out = {ip_network(cidr) for peer in rule["to"] for cidr in peer["ipBlock"]["except"]}
    assert left_out == set(hosts._SPECIAL)


def test_no_policy_lets_all_pods_or_all_addresses_in(manifests: Manifests) -> None:
    for name, policy in manifests.of_kind("NetworkPolicy").items():
        for rule in (*policy["spec"].get("ingress", ()), *policy["spec"].get("egress", ())):
            peers = rule.get("from") or rule.get("to")
            assert peers, f"{name}: a rule without peers lets everybody through"
            assert all(any(peer.values()) for peer in peers), name


def test_only_workers_take_clients_requests(manifests: Manifests) -> None:
    assert manifests.ray_service["spec"]["excludeHeadPodFromServeSvc"] is True
    policy = manifests.of_kind("NetworkPolicy")["clients"]["spec"]
    assert not selects(policy["podSelector"], labels_of(manifests.ray_pods["headgroup"]))


def test_every_long_lived_container_is_probed(manifests: Manifests) -> None:
    for name, pod in manifests.pods.items():
        assert {"readinessProbe", "livenessProbe"} <= pod["spec"]["containers"][0].keys(), name


def test_a_pod_has_the_time_that_its_ending_takes(manifests: Manifests) -> None:
    deployments = manifests.serve_config["applications"][0]["deployments"]
    longest = max(deployment.get("graceful_shutdown_timeout_s", 20) for deployment in deployments)
    for name, group in manifests.worker_groups.items():
        assert group["template"]["spec"]["terminationGracePeriodSeconds"] >= 30 + longest, name
    assert manifests.ray_service["spec"]["rayClusterDeletionDelaySeconds"] >= longest


def test_a_worker_that_is_told_to_end_is_drained_by_ray_in_the_time_that_its_pod_has(manifests: Manifests) -> None:
    """No command of ours ends Ray: with process 1 of the container the hook would end too, as a failed one."""
    from ray._private import ray_constants  # noqa: PLC0415  takes seconds to import

    variable = "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"
    assert hasattr(ray_constants, variable), "Ray drains its node by itself"
    deployments = manifests.serve_config["applications"][0]["deployments"]
    longest = max(deployment.get("graceful_shutdown_timeout_s", 20) for deployment in deployments)
    for name, group in manifests.worker_groups.items():
        (container,) = group["template"]["spec"]["containers"]
        program, waiting = container["lifecycle"]["preStop"]["exec"]["command"]
        assert program == "sleep", name
        draining = int(variables(container)[variable])
        assert longest < draining, name
        assert int(waiting) + draining + 20 <= group["template"]["spec"]["terminationGracePeriodSeconds"], name


def test_gpu_pods_go_to_gpu_nodes_only() -> None:
    pod = Manifests("overlays/gpu").ray_pods["gpu"]["spec"]
    assert pod["nodeSelector"]
    assert any(toleration["key"] == "nvidia.com/gpu" for toleration in pod["tolerations"])
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_workers_and_qdrant_are_spread_over_zones_and_nodes() -> None:
    manifests = Manifests("base")
    for name in ("cpu", "internet", "gpu", "qdrant"):
        pod = manifests.pods[name]
        spread = pod["spec"]["topologySpreadConstraints"]
        assert {c["topologyKey"] for c in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
        assert all(selects(c["labelSelector"], labels_of(pod)) for c in spread)


@pytest.mark.parametrize("address", [METADATA, *INSIDE])
def test_a_block_without_exceptions_would_be_seen(address: object) -> None:
    assert reaches({"cidr": "0.0.0.0/0"}, address)
