"""The project put on the cluster and taken away: by kubectl, by the script, by Helm."""

from __future__ import annotations

import os
import subprocess
import time

import yaml

from deployments.catalogue.catalogue import HOME
from tests.on_kubernetes.cluster import NAMESPACE, OVERLAY, Cluster, expect, name, without_failures
from tests.support.kubernetes_programs import program
from tests.support.manifests import Document

_LEFT_BY_HELM = {
    "ConfigMap kube-root-ca.crt",
    "PersistentVolumeClaim data-qdrant-0",
    "PersistentVolumeClaim data-redis-0",
    "Secret front",
    "Secret qdrant",
    "Secret redis",
}
"""What the release did not make, and the volumes of Qdrant and Redis."""


def applied(cluster: Cluster) -> str:
    """From `kubectl apply -k` until the application runs and all pods are ready."""
    cluster.kubectl("apply", "-k", str(OVERLAY))
    took = cluster.until(cluster.runs, within_s=900)
    pods = cluster.objects("pods")
    return f"{len(pods)} pods ready and the application running after {took:.0f} s"


def uninstalled(cluster: Cluster) -> str:
    """By the script, in its order."""
    began = time.monotonic()
    _uninstall(cluster, str(OVERLAY))
    _without_the_namespace(cluster)
    return f"nothing is left after {time.monotonic() - began:.0f} s"


def by_helm(cluster: Cluster) -> str:
    """The chart with the overlay's own patches as its values, searched through, and taken away again."""
    cluster.furnish()
    values = cluster.plane.folder / "values.yaml"
    values.write_text(yaml.safe_dump(chart_values()))
    options = ["--namespace", NAMESPACE, "--values", str(values)]
    _shell(cluster, "helm", "install", "inference", str(HOME / "k8s" / "chart"), *options)
    took = cluster.until(cluster.runs, within_s=900)
    with cluster.load() as outcome:
        time.sleep(10)
    began = time.monotonic()
    _uninstall(cluster, "--helm", "inference")
    cluster.until(lambda: cluster.objects("pods") == [], within_s=300)
    gone = time.monotonic() - began
    there = cluster.objects("services,configmaps,secrets,persistentvolumeclaims")
    expect({f"{one['kind']} {name(one)}" for one in there}, _LEFT_BY_HELM)
    cluster.kubectl("delete", "namespace", NAMESPACE)
    _without_the_namespace(cluster)
    told = f"the application running after {took:.0f} s; no pod is left {gone:.0f} s after `uninstall.sh --helm`"
    return without_failures(outcome, told)


def chart_values() -> Document:
    """What makes the chart this overlay."""
    patches = yaml.safe_load((OVERLAY / "kustomization.yaml").read_text())["patches"]
    return {"overlay": "kind", "patches": patches}


def _uninstall(cluster: Cluster, *arguments: str) -> None:
    _shell(cluster, str(HOME / "k8s" / "uninstall.sh"), *arguments)


def _shell(cluster: Cluster, *command: str) -> None:
    """A command where the cluster is, with helm among its programs."""
    folder = cluster.plane.folder / "helm"
    folder.mkdir(exist_ok=True)
    helm = program("helm")
    if helm is not None and not (folder / "helm").exists():
        (folder / "helm").symlink_to(helm)
    own = {f"HELM_{what}_HOME": str(folder / what) for what in ("CACHE", "CONFIG", "DATA")}
    environment = {**os.environ, **own, "KUBECONFIG": str(cluster.plane.kubeconfig)}
    environment["PATH"] = f"{folder}:{environment['PATH']}"
    done = subprocess.run(
        [*cluster.plane.inside, *command], env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    expect((done.returncode, done.stderr if done.returncode else ""), (0, ""))


def _without_the_namespace(cluster: Cluster) -> None:
    cluster.until(lambda: NAMESPACE not in [name(one) for one in cluster.objects("namespaces")], within_s=300)
