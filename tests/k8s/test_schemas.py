"""What is rendered is what Kubernetes and KubeRay take."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from deployments.catalogue.catalogue import HOME
from serve_app.cli.config_check import check
from tests.support.manifest_schemas import check_documents, check_ray_pods, check_ray_service
from tests.support.manifests import SERVE_CONFIGS, Manifests

pytestmark = pytest.mark.slow


def test_every_document_is_what_kubernetes_takes(manifests: Manifests) -> None:
    check_documents(manifests)


def test_the_ray_service_is_what_kuberay_takes(manifests: Manifests) -> None:
    check_ray_service(manifests.ray_service)


def test_every_pod_of_ray_is_what_kubernetes_takes(manifests: Manifests) -> None:
    check_ray_pods(manifests)


def test_the_serve_config_inside_is_the_file_and_passes_our_check(manifests: Manifests, tmp_path: Path) -> None:
    file = HOME / SERVE_CONFIGS[manifests.place]
    assert manifests.ray_service["spec"]["serveConfigV2"] == file.read_text(encoding="utf-8")
    manifest = tmp_path / "rendered.yaml"
    manifest.write_text(manifests.text, encoding="utf-8")
    assert check(manifest) == check(file)


def test_the_schema_refuses_a_misspelled_key() -> None:
    service = Manifests("base").ray_service
    with pytest.raises(jsonschema.ValidationError, match="serveConfigV3"):
        check_ray_service({**service, "spec": {**service["spec"], "serveConfigV3": ""}})
