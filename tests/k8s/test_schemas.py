"""Every rendered document against the schemas of Kubernetes and KubeRay; unknown keys are errors."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from serve_app.cli.config_check import check
from tests.k8s.conftest import OF_PROMETHEUS, SERVE_CONFIGS, Manifests

kubernetes_validate = pytest.importorskip("kubernetes_validate")

HOME = Path(__file__).parents[2]
KUBERNETES = "1.34"


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


def test_every_document_is_what_kubernetes_takes(manifests: Manifests) -> None:
    for document in manifests.documents:
        if document["kind"] not in {"RayService", *OF_PROMETHEUS}:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_the_ray_service_is_what_kuberay_takes(manifests: Manifests) -> None:
    # The type's own metadata is open in the definition: Kubernetes checks it.
    service = {**manifests.ray_service, "metadata": {}}
    jsonschema.Draft202012Validator(ray_service_schema()).validate(service)


def test_every_pod_of_ray_is_what_kubernetes_takes(manifests: Manifests) -> None:
    for name, pod in manifests.ray_pods.items():
        document = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, **pod["metadata"]},
            "spec": pod["spec"],
        }
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_the_serve_config_inside_is_the_file_and_passes_our_check(manifests: Manifests, tmp_path: Path) -> None:
    file = HOME / SERVE_CONFIGS[manifests.place]
    assert manifests.ray_service["spec"]["serveConfigV2"] == file.read_text(encoding="utf-8")
    manifest = tmp_path / "rendered.yaml"
    manifest.write_text(manifests.text, encoding="utf-8")
    assert check(manifest) == check(file)


def test_the_schema_refuses_a_misspelled_key() -> None:
    service = {**Manifests("base").ray_service, "metadata": {}}
    service["spec"] = {**service["spec"], "serveConfigV3": ""}
    with pytest.raises(jsonschema.ValidationError, match="serveConfigV3"):
        jsonschema.Draft202012Validator(ray_service_schema()).validate(service)
