"""The cluster with the project in it, as checks see it."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deployments.catalogue.catalogue import HOME
from tests.support.control_plane import ControlPlane, install_operator
from tests.support.manifests import Document

HERE = Path(__file__).parent
OVERLAY = HERE / "overlay"
NAMESPACE = "qdrant-inference"
SERVICE = f"inference-serve-svc.{NAMESPACE}"
_OWNERS = {"models": 1000, "data-redis-0": 999, "data-qdrant-0": 1000}
"""Claims, and who writes to their volumes."""


@dataclass
class Outcome:
    """What became of a load; empty while it runs."""

    ended: Mapping[str, int] = field(default_factory=dict)
    longest: Mapping[str, float] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    @property
    def failed(self) -> dict[str, int]:
        return {status: count for status, count in self.ended.items() if status != "ok"}

    def __str__(self) -> str:
        total = sum(self.ended.values())
        slowest = max(self.longest.values(), default=0)
        return f"{sum(self.failed.values())} of {total:,} requests failed, the longest took {slowest:.1f} s"


class Cluster:
    """kubectl, with what is asked often."""

    def __init__(self, plane: ControlPlane, models: Path) -> None:
        """`models` is the folder of the volume of that name, with the starter models."""
        self.plane, self.models = plane, models
        self.key = secrets.token_hex(16)

    def apply(self, *documents: Document) -> None:
        self.plane.apply(yaml.safe_dump_all(documents))

    def furnish(self) -> None:
        """Make the project's namespace, with secrets and volumes, as who installs it does beforehand."""
        self.plane.apply((HOME / "k8s" / "base" / "namespace.yaml").read_text())
        self.kubectl("delete", "persistentvolumes", "--all")  # of a namespace that went
        self.apply(*_volumes(self.plane.folder, self.models))
        for name, entry in {"redis": "password", "qdrant": "api-key", "front": "key"}.items():
            self.kubectl("create", "secret", "generic", name, f"--from-literal={entry}={self.key}")

    def kubectl(self, *arguments: str, given: str | None = None, namespace: str = NAMESPACE) -> str:
        """What it prints.

        Raises:
            RuntimeError: it fails; the text is what it says.
        """
        done = self.plane.kubectl("--namespace", namespace, *arguments, given=given, timeout=600)
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def objects(self, kinds: str, selector: str = "", namespace: str = NAMESPACE) -> list[Document]:
        told = self.kubectl("get", kinds, f"--selector={selector}", "--output=json", namespace=namespace)
        return list(json.loads(told)["items"])

    def pods(self, group: str) -> list[Document]:
        """A Ray group's pods that have not been told to end."""
        found = self.objects("pods", f"ray.io/group={group}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def python(self, script: str, *arguments: str, namespace: str = "callers", pod: str = "pod") -> str:
        """What a script prints that runs in a pod."""
        return self.kubectl("exec", pod, "--", "python3", "-c", script, *arguments, namespace=namespace)

    def reaches(self, namespace: str, pod: str, host: str, port: int) -> bool:
        script = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 4)"
        try:
            self.python(script, host, str(port), namespace=namespace, pod=pod)
        except RuntimeError as error:
            if "TimeoutError" in str(error) or "refused" in str(error) or "unreachable" in str(error):
                return False
            raise
        return True

    def status(self) -> Document:
        return dict(json.loads(self.kubectl("get", "rayservice", "inference", "--output=json")).get("status") or {})

    def active(self) -> str:
        """The name of the RayCluster that serves."""
        return str((self.status().get("activeServiceStatus") or {}).get("rayClusterName") or "")

    def runs(self) -> bool:
        """Whether the application runs and all pods are ready."""
        status = self.status().get("activeServiceStatus") or {}
        states = [one.get("status") for one in (status.get("applicationStatuses") or {}).values()]
        return bool(states) and set(states) == {"RUNNING"} and all(map(is_ready, self.objects("pods")))

    def change_config(self, change: Callable[[Document], None]) -> None:
        """The Serve config, in the RayService."""
        service = json.loads(self.kubectl("get", "rayservice", "inference", "--output=json"))
        config = yaml.safe_load(service["spec"]["serveConfigV2"])
        change({one["name"]: one for one in config["applications"][0]["deployments"]})
        patch = json.dumps({"spec": {"serveConfigV2": yaml.safe_dump(config)}})
        self.kubectl("patch", "rayservice", "inference", "--type=merge", f"--patch={patch}")

    def until(self, holds: Callable[[], Any], within_s: float = 600) -> float:
        """Seconds until something holds.

        Raises:
            TimeoutError: it does not.
        """
        began = time.monotonic()
        while not holds():
            if time.monotonic() - began > within_s:
                raise TimeoutError(f"not within {within_s:.0f} s")
            time.sleep(1)
        return time.monotonic() - began

    @contextmanager
    def load(self, host: str = SERVICE, key: str | None = None) -> Iterator[Outcome]:
        """Requests from a pod, until the context ends."""
        shown = self.key if key is None else key
        command = ["--namespace=callers", "exec", "pod", "--", "python3", "/load/load.py", host, shown]
        sender = subprocess.Popen(
            self.plane.kubectl_command(*command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        outcome = Outcome()
        assert sender.stdout is not None
        if sender.stdout.readline().strip() != "ready":
            raise RuntimeError(f"the load did not begin: {sender.communicate()[1][-1000:]}")
        try:
            yield outcome
        finally:
            self.kubectl("exec", "pod", "--", "touch", "/tmp/stop", namespace="callers")
            told, wrong = sender.communicate(timeout=180)
        if sender.returncode:
            raise RuntimeError(f"the load broke off: {wrong[-1000:]}")
        vars(outcome).update(json.loads(told))


def name(pod: Document) -> str:
    return str(pod["metadata"]["name"])


def is_ready(pod: Document) -> bool:
    """Whether it is, or has done its work."""
    conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", ())}
    return conditions.get("Ready") == "True" or pod["status"]["phase"] == "Succeeded"


def expect(found: object, wanted: object) -> None:
    if found != wanted:
        raise AssertionError(f"{found!r} instead of {wanted!r}")


def without_failures(outcome: Outcome, told: str) -> str:
    if outcome.failed:
        raise AssertionError(f"{outcome} ({outcome.failed}: {outcome.told}); {told}")
    return f"{outcome}; {told}"


def prepare(plane: ControlPlane, models: Path) -> Cluster:
    """DNS, the operator, callers, volumes and secrets; nothing of the project but its namespace."""
    cluster = Cluster(plane, models)
    install_operator(plane)
    plane.apply((HERE / "namespaces.yaml").read_text())
    load = {"load.py": (HERE / "load.py").read_text()}
    metadata = {"name": "load", "namespace": "callers"}
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": load})
    for namespace in ("kube-system", "callers", "scrapers", "strangers"):
        account = (f"--namespace={namespace}", "get", "serviceaccount", "default")
        plane.until(lambda: plane.kubectl(*account).returncode == 0)  # noqa: B023  it is asked at once
    plane.apply((HERE / "system.yaml").read_text())
    cluster.furnish()
    everything = ("wait", "--for=condition=Ready", "pods", "--all", "--timeout=300s")
    for namespace in ("kube-system", "kuberay-system", "callers", "scrapers", "strangers"):
        cluster.kubectl(*everything, namespace=namespace)
    return cluster


def _volumes(folder: Path, models: Path) -> Iterator[Document]:
    for claim, owner in _OWNERS.items():
        place = models if claim == "models" else folder / claim
        place.mkdir(exist_ok=True)
        subprocess.run(["chown", "--recursive", f"{owner}:{owner}", str(place)], check=True)
        yield {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": claim},
            "spec": {
                "capacity": {"storage": "50Gi"},
                "accessModes": ["ReadWriteOnce"],
                "claimRef": {"namespace": NAMESPACE, "name": claim},
                "persistentVolumeReclaimPolicy": "Retain",
                "hostPath": {"path": str(place)},
            },
        }
