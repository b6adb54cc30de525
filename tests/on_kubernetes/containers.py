"""What `docker run` and `docker compose up` start, as pods outside of the project's namespace.

Commands, variables and health checks, which are readiness probes here, are those of the Dockerfile and of compose.yaml.
The service's root is read-only and it has no rights, which is more than either file asks for.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from deployments.catalogue.catalogue import HOME
from tests.on_kubernetes.cluster import Cluster, expect, is_ready, without_failures
from tests.on_kubernetes.images import OURS, QDRANT
from tests.support.manifests import Document

COMPOSE: dict[str, Any] = yaml.safe_load((HOME / "compose.yaml").read_text(encoding="utf-8"))
NAMESPACE = "callers"
_GRACE_S = 60
_RIGHTS = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
_PORTS = [{"name": "rest", "port": 6333}, {"name": "grpc", "port": 6334}]


def health_check() -> list[str]:
    """Of our image."""
    text = (HOME / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
    return list(json.loads(re.findall(r"^HEALTHCHECK .*?CMD (\[.*\])$", text, re.MULTILINE)[0]))


def image_alone(cluster: Cluster) -> str:
    """As `docker run` starts it: its own command, the embedded store."""
    cluster.apply(_service("inference"), _inference(_models(cluster), [], {}))
    return _tried(cluster, key="")


def composed(cluster: Cluster) -> str:
    """Both services of compose.yaml, with a key; the second begins when the first is healthy."""
    services = COMPOSE["services"]
    environment = {**_variables("qdrant"), "QDRANT__SERVICE__API_KEY": cluster.key}
    cluster.apply(_service("qdrant"), _qdrant(services["qdrant"]["healthcheck"]["test"], environment))
    try:
        first = cluster.until(lambda: _ready(cluster, "qdrant"), within_s=120)
        environment = {**_variables("inference"), "QDRANT_API_KEY": cluster.key}
        command = services["inference"]["command"]
        cluster.apply(_service("inference"), _inference(_models(cluster), command, environment))
        return f"Qdrant healthy after {first:.0f} s; {_tried(cluster, key=cluster.key)}"
    finally:
        cluster.kubectl("delete", "pod/qdrant", "service/qdrant", namespace=NAMESPACE)


def _tried(cluster: Cluster, key: str) -> str:
    """Healthy, asked from another pod, and told to end."""
    try:
        return _seen(cluster, key)
    except Exception as error:
        log = cluster.kubectl("logs", "inference", "--tail=30", namespace=NAMESPACE)
        raise AssertionError(f"{error}; its log ends with {log}") from error
    finally:
        cluster.kubectl("delete", "pod/inference", "service/inference", namespace=NAMESPACE)


def _seen(cluster: Cluster, key: str) -> str:
    healthy = cluster.until(lambda: _ready(cluster, "inference"), within_s=300)
    address = _found(cluster, "inference")["status"]["podIP"]  # without keys it answers to no other name
    with cluster.load(host=address, key=key) as outcome:
        time.sleep(10)
    cluster.kubectl("exec", "inference", "--", "sh", "-c", "kill -TERM 1", namespace=NAMESPACE)
    ended = cluster.until(lambda: _ended(cluster), within_s=_GRACE_S)
    expect(_ended(cluster)["exitCode"], 0)
    return without_failures(outcome, f"healthy after {healthy:.0f} s; ended with 0 in {ended:.0f} s after SIGTERM")


def _inference(models: Path, command: Sequence[str], environment: Mapping[str, str]) -> Document:
    check = ["CMD", *health_check()]
    container = {"name": "inference", "image": OURS, "args": list(command), "securityContext": _RIGHTS}
    pod = _pod(container, environment, check)
    pod["spec"]["securityContext"] |= {"runAsNonRoot": True}  # the user is the image's own
    _mount(pod, "models", "/models", {"hostPath": {"path": str(models)}})
    _mount(pod, "shm", "/dev/shm", {"emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}})
    for place in ("tmp", "data"):
        _mount(pod, place, f"/{place}", {"emptyDir": {}})
    return pod


def _qdrant(check: Sequence[str], environment: Mapping[str, str]) -> Document:
    pod = _pod({"name": "qdrant", "image": QDRANT, "args": ["./entrypoint.sh"]}, environment, check)
    _mount(pod, "storage", "/qdrant/storage", {"emptyDir": {}})
    return pod


def _pod(container: Document, environment: Mapping[str, str], check: Sequence[str]) -> Document:
    """Without volumes; `check` as Docker has it, with `CMD` in front."""
    name = container["name"]
    container |= {
        "env": [{"name": key, "value": value} for key, value in environment.items()],
        "readinessProbe": {"exec": {"command": list(check[1:])}, "periodSeconds": 5, "timeoutSeconds": 5},
        "volumeMounts": [],
    }
    spec = {
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_S,
        "securityContext": {"fsGroup": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [],
    }
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"of-compose": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _mount(pod: Document, name: str, place: str, volume: Document) -> None:
    pod["spec"]["volumes"].append({"name": name, **volume})
    pod["spec"]["containers"][0]["volumeMounts"].append({"name": name, "mountPath": place})


def _service(name: str) -> Document:
    """So that others find it by its name, as in compose.yaml's network."""
    spec = {"selector": {"of-compose": name}, "ports": _PORTS}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}


def _variables(service: str) -> dict[str, str]:
    """Those that have a value in compose.yaml; the others come from `.env`."""
    return dict(line.split("=", 1) for line in COMPOSE["services"][service]["environment"] if "=" in line)


def _models(cluster: Cluster) -> Path:
    """A copy, since a container of Docker's may write there, which a pod of the manifests may not."""
    place = cluster.plane.folder / "models-of-containers"
    if not place.exists():
        shutil.copytree(cluster.models, place)
        subprocess.run(["chown", "--recursive", "1000:1000", str(place)], check=True)
    return place


def _ready(cluster: Cluster, name: str) -> bool:
    pod = _found(cluster, name)
    if pod["status"]["phase"] in {"Failed", "Succeeded"}:
        raise AssertionError("it ended by itself")
    return is_ready(pod)


def _ended(cluster: Cluster) -> Document:
    """How, or nothing."""
    (status,) = _found(cluster, "inference")["status"]["containerStatuses"]
    return dict(status["state"].get("terminated") or {})


def _found(cluster: Cluster, name: str) -> Document:
    (pod,) = cluster.objects("pods", f"of-compose={name}", NAMESPACE)
    return pod
