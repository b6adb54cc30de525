"""The manifests as `kubectl apply -k` would render them, without a cluster."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.catalogue.catalogue import HOME

README = (HOME / "k8s" / "README.md").read_text(encoding="utf-8")
PLACES = ("base", "overlays/kind", "overlays/gpu", "overlays/air-gapped", "overlays/monitored")
SERVE_CONFIGS = {
    "base": "configs/serve-cpu.yaml",
    "overlays/kind": "k8s/overlays/kind/serve.yaml",
    "overlays/gpu": "configs/serve-gpu.yaml",
    "overlays/air-gapped": "configs/serve-cpu.yaml",
    "overlays/monitored": "configs/serve-cpu.yaml",
}
COMPONENTS = ("monitoring", "ingress", "gateway", "tls", "external-secrets", "node-pools", "ephemeral-storage")
"""In an order in which they go together."""
OF_PROMETHEUS = {"PodMonitor": "podMetricsEndpoints", "PrometheusRule": "groups"}
"""Prometheus Operator's resource types, and the part of each that it reads."""
OF_COMPONENTS = {
    **dict.fromkeys(("Gateway", "HTTPRoute", "GRPCRoute"), "sigs.k8s.io/gateway-api"),
    "Certificate": "github.com/cert-manager/cert-manager",
    "ExternalSecret": "github.com/external-secrets/external-secrets",
    **dict.fromkeys(OF_PROMETHEUS, "github.com/prometheus-operator/prometheus-operator"),
}
"""Others' resource types, and the Go module that describes each."""

Document = dict[str, Any]


@lru_cache
def rendered(place: str) -> str:
    if shutil.which("kubectl") is None:
        told = "kubectl is not installed; it renders the manifests, and nothing of them is tested without it"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    command = ["kubectl", "kustomize", str(HOME / "k8s" / place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def composed(folder: Path, place: str, components: Iterable[str], more: str = "") -> Manifests:
    """An overlay with components and more, as a kustomization of one's own has it; `folder` is for that."""

    def leading_to(path: str) -> str:
        return os.path.relpath(HOME / "k8s" / path, folder)

    own = {"resources": [leading_to(place)], "components": [leading_to(f"components/{name}") for name in components]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(own) + more, encoding="utf-8")
    return Manifests(str(folder))


class Manifests:
    """All documents of an overlay, and ways to what stands in them."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.text = rendered(place)
        self.documents: list[Document] = list(yaml.load_all(self.text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))

    def of_kind(self, kind: str) -> dict[str, Document]:
        return {d["metadata"]["name"]: d for d in self.documents if d["kind"] == kind}

    @property
    def ray_service(self) -> Document:
        (service,) = self.of_kind("RayService").values()
        return service

    @property
    def cluster(self) -> Document:
        return self.ray_service["spec"]["rayClusterConfig"]

    @property
    def serve_config(self) -> Document:
        return yaml.load(self.ray_service["spec"]["serveConfigV2"], getattr(yaml, "CSafeLoader", yaml.SafeLoader))

    @property
    def worker_groups(self) -> dict[str, Document]:
        return {group["groupName"]: group for group in self.cluster["workerGroupSpecs"]}

    @property
    def ray_pods(self) -> dict[str, Document]:
        """Pod templates by group, with the labels that KubeRay adds to them."""
        groups = {"headgroup": self.cluster["headGroupSpec"], **self.worker_groups}
        return {
            name: _labelled(
                group["template"],
                {
                    "ray.io/is-ray-node": "yes",
                    "ray.io/node-type": "head" if name == "headgroup" else "worker",
                    "ray.io/group": name,
                },
            )
            for name, group in groups.items()
        }

    @property
    def pods(self) -> dict[str, Document]:
        sets = {name: d["spec"]["template"] for name, d in self.of_kind("StatefulSet").items()}
        return {**self.ray_pods, **sets}

    def containers(self) -> Iterator[tuple[str, Document]]:
        for name, pod in self.pods.items():
            for container in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]):
                yield f"{name}/{container['name']}", container


def _labelled(template: Document, labels: dict[str, str]) -> Document:
    metadata = {**template["metadata"], "labels": {**template["metadata"]["labels"], **labels}}
    return {**template, "metadata": metadata}


def values_of(key: str, within: Any) -> Iterator[Any]:
    """All that stands under a key, at any depth."""
    if isinstance(within, dict):
        if key in within:
            yield within[key]
        for value in within.values():
            yield from values_of(key, value)
    elif isinstance(within, list):
        for value in within:
            yield from values_of(key, value)


def selects(selector: Document, labels: dict[str, str]) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items()


def labels_of(pod: Document) -> dict[str, str]:
    return pod["metadata"]["labels"]


def settings(manifests: Manifests) -> dict[str, str]:
    (config,) = (d for name, d in manifests.of_kind("ConfigMap").items() if name.startswith("settings-"))
    return config["data"]


def port_names(pod: Document) -> set[str]:
    return {port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", ())}
