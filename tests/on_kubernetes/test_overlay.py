"""The overlay of the trial, without a cluster."""

from __future__ import annotations

from pathlib import Path

from tests.on_kubernetes.cluster import OVERLAY
from tests.on_kubernetes.installs import chart_values
from tests.support.chart import by_name, helm_template
from tests.support.manifests import Manifests


def cores(text: str) -> float:
    return int(text.removesuffix("m")) / 1000 if text.endswith("m") else float(text)


def test_two_clusters_and_one_more_worker_find_room_on_two_cores() -> None:
    """As many as there are while an upgrade runs; what the system and callers take is below a tenth."""
    manifests = Manifests(str(OVERLAY))
    asked = {
        name: sum(cores(one["resources"]["requests"]["cpu"]) for one in pod["spec"]["containers"])
        for name, pod in manifests.pods.items()
    }
    autoscaler = cores(manifests.cluster["autoscalerOptions"]["resources"]["requests"]["cpu"])
    cluster = autoscaler + sum(asked[name] for name in manifests.ray_pods)
    assert 2 * cluster + asked["cpu"] + asked["redis"] + asked["qdrant"] < 1.9


def test_it_is_the_trial_but_for_requests_waits_and_connections() -> None:
    text = {place: Manifests(place).text for place in ("overlays/kind", str(OVERLAY))}
    assert '"4000"' in text[str(OVERLAY)]
    trial, ours = (Manifests(place).cluster for place in text)
    for of_trial, of_ours in zip(trial["workerGroupSpecs"], ours["workerGroupSpecs"], strict=True):
        assert of_ours["rayStartParams"] == of_trial["rayStartParams"]
        for kind in ("containers", "initContainers"):
            for theirs, one in zip(of_trial["template"]["spec"][kind], of_ours["template"]["spec"][kind], strict=True):
                requests = {**one["resources"]["requests"], "cpu": theirs["resources"]["requests"]["cpu"]}
                for variable in one["env"]:
                    if variable["name"] == "RAY_SERVE_HAPROXY_MAXCONN":
                        variable["value"] = "16000"
                assert {**one, "resources": {**one["resources"], "requests": requests}} == theirs


def test_the_chart_with_its_patches_as_values_is_the_same(tmp_path: Path) -> None:
    rendered = by_name(helm_template(tmp_path, {**chart_values(), "createNamespace": True}))
    assert rendered == by_name(Manifests(str(OVERLAY)).text)
