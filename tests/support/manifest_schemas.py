"""Every rendered document against the schemas of Kubernetes and KubeRay; unknown keys are errors."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from deployments.catalogue.catalogue import HOME
from tests.support.kubernetes_programs import definitions
from tests.support.manifests import OF_COMPONENTS, OF_PROMETHEUS, Manifests

KUBERNETES = "1.34"


def check_documents(manifests: Manifests) -> None:
    """All documents but those of others' resource types, which Kubernetes does not know."""
    for document in manifests.documents:
        if document["kind"] not in {"RayService", *OF_PROMETHEUS, *OF_COMPONENTS}:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)


def check_others(manifests: Manifests) -> set[str]:
    """Documents of others' resource types, by what their makers' modules say; the kinds that there were."""
    checked = set()
    for document in manifests.documents:
        if document["kind"] in {*OF_PROMETHEUS, *OF_COMPONENTS}:
            schema = _schema(definitions(OF_COMPONENTS[document["kind"]]), document["kind"], document["apiVersion"])
            jsonschema.Draft202012Validator(schema).validate({**document, "metadata": {}})
            checked.add(document["kind"])
    return checked


def _schema(folder: Path, kind: str, api_version: str) -> dict[str, Any]:
    for file in sorted(folder.rglob("*.yaml")):
        text = file.read_text(encoding="utf-8")
        if f"kind: {kind}\n" not in text or "CustomResourceDefinition" not in text:
            continue
        spec = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))["spec"]
        for version in spec["versions"]:
            if f"{spec['group']}/{version['name']}" == api_version and version["served"]:
                return strict(version["schema"]["openAPIV3Schema"])
    raise LookupError(kind, api_version)


def check_ray_service(service: dict[str, Any]) -> None:
    """The type's own metadata is open in the definition: Kubernetes checks it."""
    jsonschema.Draft202012Validator(ray_service_schema()).validate({**service, "metadata": {}})


def check_ray_pods(manifests: Manifests) -> None:
    """The pods that KubeRay will make."""
    for name, pod in manifests.ray_pods.items():
        document = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, **pod["metadata"]},
            "spec": pod["spec"],
        }
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


@lru_cache
def ray_service_schema() -> dict[str, Any]:
    file = HOME / "tests" / "data" / "kuberay" / "ray.io_rayservices.yaml"
    definition = yaml.load(file.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    (version,) = (v for v in definition["spec"]["versions"] if v["name"] == "v1")
    return strict(version["schema"]["openAPIV3Schema"])


def strict(schema: Any) -> Any:
    """The schema with every object closed: Kubernetes would drop an unknown key without a word."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    if isinstance(closed.get("properties"), dict) and closed.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    if closed.get("x-kubernetes-int-or-string"):
        closed.pop("anyOf", None)
        closed.pop("type", None)
        closed["type"] = ["integer", "string"]
    return closed
