"""What is tried on the cluster, one after the other. Each check says what it saw, and fails by an exception."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

from deployments.catalogue.catalogue import HOME
from tests.on_kubernetes import containers, installs
from tests.on_kubernetes.cluster import NAMESPACE, SERVICE, Cluster, expect, is_ready, name, without_failures
from tests.on_kubernetes.machine import METADATA, PUBLIC
from tests.support.manifests import Document

_ASK = """
import sys
from qdrant_client import QdrantClient, models
host, key, way = sys.argv[1:]
client = QdrantClient(url=f"http://{host}:6333", api_key=key or None, prefer_grpc=way == "gRPC", timeout=30,
                      cloud_inference=True, check_compatibility=False)
try:
    tea = models.Document(text="tea", model="sentence-transformers/all-minilm-l6-v2")
    print(len(client.query_points("load", query=tea, limit=3).points), "points")
except Exception as error:
    print(getattr(error, "status_code", None) or error.code().name)
"""
_METRICS = """
import sys, urllib.request
sys.stdout.write(urllib.request.urlopen(f"http://{sys.argv[1]}:{sys.argv[2]}/metrics", timeout=10).read().decode())
"""


def answers(cluster: Cluster) -> str:
    """A search through the Service, with the key and without."""
    with cluster.load():
        pass
    found = {
        (way, key): cluster.python(_ASK, SERVICE, key, way).strip()
        for way in ("REST", "gRPC")
        for key in (cluster.key, "")
    }
    expect(list(found.values()), ["3 points", "401", "3 points", "UNAUTHENTICATED"])
    return "3 points by REST and by gRPC; without a key 401 and UNAUTHENTICATED"


def policies(cluster: Cluster) -> str:
    """Who reaches what; each pair is tried by a connection."""
    (head,), (worker,), (internet,) = (cluster.pods(group) for group in ("headgroup", "cpu", "internet"))
    (redis,), (qdrant,) = (
        cluster.objects("pods", f"app.kubernetes.io/component={name}") for name in ("redis", "qdrant")
    )
    ours = {"worker": name(worker), "internet": name(internet)}
    tries = [
        ("callers", SERVICE, 6333, True),
        ("callers", SERVICE, 6334, True),
        ("strangers", SERVICE, 6333, False),
        ("strangers", SERVICE, 6334, False),
        ("callers", address(head), 8265, False),
        ("callers", address(head), 6379, False),
        ("callers", address(worker), 8080, False),
        ("callers", address(redis), 6379, False),
        ("callers", address(qdrant), 6333, False),
        ("scrapers", address(worker), 8080, True),
        ("scrapers", SERVICE, 6333, False),
        ("callers", PUBLIC, 80, True),
        ("callers", METADATA, 80, True),
        ("internet", PUBLIC, 80, True),
        ("internet", METADATA, 80, False),
        ("worker", PUBLIC, 80, False),
        ("worker", address(qdrant), 6333, True),
    ]
    for who, host, port, wanted in tries:
        pod = (NAMESPACE, ours[who]) if who in ours else (who, "pod")
        expect((who, host, port, cluster.reaches(*pod, host, port)), (who, host, port, wanted))
    return f"{len(tries)} connections: those that policies allow came about, the others not"


def metrics(cluster: Cluster) -> str:
    """Scraped as the PodMonitor says, from a namespace that may."""
    with cluster.load():
        time.sleep(15)
    told = []
    for group in ("headgroup", "cpu", "internet"):
        (pod,) = cluster.pods(group)
        told.append(cluster.python(_METRICS, address(pod), "8080", namespace="scrapers"))
        if group != "headgroup":
            told.append(cluster.python(_METRICS, address(pod), "9101", namespace="scrapers"))
    names = set(re.findall(r"^([a-z][a-z0-9_]+)", "\n".join(told), re.MULTILINE))
    for wanted in (
        "ray_qdrant_inference_upstream_up",
        "ray_qdrant_inference_requests_total",
        "haproxy_frontend_status",
    ):
        expect((wanted, wanted in names), (wanted, True))
    rules = (HOME / "k8s" / "components" / "monitoring" / "rules.yaml").read_text()
    asked = set(re.findall(r"ray_qdrant_inference_\w+", rules))
    return (
        f"{len(names)} metrics of Ray and HAProxy; {len(asked & names)} of {len(asked)} that alerts ask for are there"
    )


def memory(cluster: Cluster) -> str:
    """What pods hold now."""
    summary = json.loads(cluster.kubectl("get", "--raw", "/api/v1/nodes/machine/proxy/stats/summary"))
    held = {
        one["podRef"]["name"]: one["memory"]["workingSetBytes"] / 2**30
        for one in summary["pods"]
        if one["podRef"]["namespace"] == NAMESPACE and "memory" in one
    }
    groups = {group: name(cluster.pods(group)[0]) for group in ("headgroup", "cpu", "internet")}
    return ", ".join(f"{group} {held[pod]:.2f} GiB" for group, pod in groups.items())


def head_deleted(cluster: Cluster) -> str:
    """Under load; the workers stay."""
    (head,) = cluster.pods("headgroup")
    workers = sorted(name(pod) for group in ("cpu", "internet") for pod in cluster.pods(group))
    with cluster.load() as outcome:
        cluster.kubectl("delete", "pod", name(head), "--wait=false")
        took = cluster.until(lambda: _replaced(cluster, "headgroup", head) and cluster.runs())
        time.sleep(10)
    expect(sorted(name(pod) for group in ("cpu", "internet") for pod in cluster.pods(group)), workers)
    return without_failures(outcome, f"a new head after {took:.0f} s, the workers are the same")


def worker_deleted(cluster: Cluster) -> str:
    """The only one that serves, under load."""
    (worker,) = cluster.pods("cpu")
    with cluster.load() as outcome:
        cluster.kubectl("delete", "pod", name(worker), "--wait=false")
        took = cluster.until(lambda: _replaced(cluster, "cpu", worker) and cluster.runs())
        time.sleep(10)
    expect([one["message"] for one in cluster.objects("events") if one["reason"] == "FailedPreStopHook"], [])
    return without_failures(outcome, f"a new worker after {took:.0f} s")


def scaled(cluster: Cluster) -> str:
    """More replicas than a worker has room for, in the Serve config, and back."""
    with cluster.load() as outcome:
        cluster.change_config(lambda deployments: deployments["Ingress"].update(num_replicas=3))
        up = cluster.until(lambda: len(cluster.pods("cpu")) == 2 and cluster.runs())
        cluster.change_config(lambda deployments: deployments["Ingress"].pop("num_replicas"))
        down = cluster.until(lambda: len(cluster.pods("cpu")) == 1 and cluster.runs())
    return without_failures(
        outcome, f"a second worker ready after {up:.0f} s, gone {down:.0f} s after it was not needed"
    )


def upgraded(cluster: Cluster) -> str:
    """A changed pod template under load: a second cluster takes over."""
    before = cluster.active()
    place = "/spec/rayClusterConfig/headGroupSpec/template/metadata/annotations"
    change = json.dumps([{"op": "add", "path": place, "value": {"changed": "yes"}}])
    with cluster.load() as outcome:
        cluster.kubectl("patch", "rayservice", "inference", "--type=json", f"--patch={change}")
        took = cluster.until(lambda: cluster.active() not in {"", before}, within_s=900)
        gone = cluster.until(lambda: [name(one) for one in cluster.objects("rayclusters")] == [cluster.active()])
        time.sleep(10)
    return without_failures(
        outcome, f"the new cluster took over after {took:.0f} s, the old one went {gone:.0f} s later"
    )


def redis_away(cluster: Cluster) -> str:
    """For 20 s, under load."""
    with cluster.load() as outcome:
        cluster.kubectl("scale", "statefulset", "redis", "--replicas=0")
        time.sleep(20)
        cluster.kubectl("scale", "statefulset", "redis", "--replicas=1")
        redis = "app.kubernetes.io/component=redis"
        took = cluster.until(lambda: cluster.objects("pods", redis) and cluster.runs())
        time.sleep(10)
    return without_failures(outcome, f"all well {took:.0f} s after it was back")


CHECKS: dict[str, Callable[[Cluster], str]] = {
    "`kubectl apply -k`": installs.applied,
    "searches through the Service": answers,
    "network policies": policies,
    "metrics scraped": metrics,
    "memory, each model once": memory,
    "the head deleted under load": head_deleted,
    "the only serving worker deleted under load": worker_deleted,
    "scaled up and down under load": scaled,
    "upgrade under load": upgraded,
    "Redis away for 20 s under load": redis_away,
    "uninstall": installs.uninstalled,
    "`helm install`": installs.by_helm,
    "the image by its own command": containers.image_alone,
    "compose.yaml's two services": containers.composed,
}


def address(pod: Document) -> str:
    return str(pod["status"]["podIP"])


def _replaced(cluster: Cluster, group: str, old: Document) -> bool:
    """Whether one of a group has another in its place, and is itself gone."""
    names = [name(pod) for pod in cluster.objects("pods", f"ray.io/group={group}")]
    return len(names) == 1 and names != [name(old)] and all(map(is_ready, cluster.pods(group)))
