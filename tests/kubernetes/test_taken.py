"""What an API server says of every document: strict, server-side, in a namespace that takes restricted pods."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from deployments.catalogue.catalogue import HOME
from tests.support.chart import helm_template
from tests.support.control_plane import ControlPlane
from tests.support.manifests import COMPONENTS, PLACES, README, Manifests, composed


@pytest.fixture(scope="module")
def api_with_namespace(api: ControlPlane) -> ControlPlane:
    api.apply((HOME / "k8s" / "base" / "namespace.yaml").read_text())
    return api


def warnings(told: str) -> list[str]:
    return [line for line in told.splitlines() if line.startswith("Warning")]


@pytest.mark.parametrize("place", [*PLACES, "examples/own"])
def test_every_overlay_is_taken_without_a_warning(place: str, api_with_namespace: ControlPlane) -> None:
    assert warnings(api_with_namespace.apply(Manifests(place).text, "--dry-run=server")) == []


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_is(component: str, api_with_namespace: ControlPlane, tmp_path: Path) -> None:
    text = composed(tmp_path, "base", (component,)).text
    assert warnings(api_with_namespace.apply(text, "--dry-run=server")) == []


@pytest.mark.parametrize("overlay", ["", "kind", "gpu", "air-gapped"])
def test_the_chart_is(overlay: str, api_with_namespace: ControlPlane, tmp_path: Path) -> None:
    components = [] if overlay == "kind" else list(COMPONENTS)
    text = helm_template(tmp_path, {"overlay": overlay, "components": components})
    assert warnings(api_with_namespace.apply(text, "--dry-run=server")) == []


@pytest.mark.parametrize("overlay", ["base", "overlays/gpu", "overlays/air-gapped"])
def test_all_components_together_are(overlay: str, api_with_namespace: ControlPlane, tmp_path: Path) -> None:
    text = composed(tmp_path, overlay, COMPONENTS).text
    assert warnings(api_with_namespace.apply(text, "--dry-run=server")) == []


def test_a_misspelled_key_is_not(api_with_namespace: ControlPlane) -> None:
    with pytest.raises(AssertionError, match="serveConfigV3"):
        api_with_namespace.apply(Manifests("base").text.replace("serveConfigV2:", "serveConfigV3:"), "--dry-run=server")


def test_the_pod_that_fills_the_volume_is_let_in(api_with_namespace: ControlPlane) -> None:
    (overrides,) = re.findall(r"--overrides '(\{.+?\})'", README, re.DOTALL)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "fill", "namespace": "qdrant-inference"}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", **_namespace()}}
    api_with_namespace.apply(yaml.safe_dump(account))
    told = api_with_namespace.apply(yaml.safe_dump({**pod, **yaml.safe_load(overrides)}), "--dry-run=server")
    assert warnings(told) == []


def test_a_pod_with_more_rights_is_not(api_with_namespace: ControlPlane) -> None:
    spec = {"containers": [{"name": "x", "image": "x"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", **_namespace()}, "spec": spec}
    with pytest.raises(AssertionError, match="restricted"):
        api_with_namespace.apply(yaml.safe_dump(pod), "--dry-run=server")


def _namespace() -> dict[str, str]:
    return {"namespace": "qdrant-inference"}
