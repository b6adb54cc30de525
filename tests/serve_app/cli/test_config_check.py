"""Serve config files, checked without a cluster."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ray.serve.config import AutoscalingConfig
from typer.testing import CliRunner

from deployments.catalogue.catalogue import HOME
from deployments.errors import ConfigError
from serve_app.cli.config_check import check
from serve_app.cli.main import app
from serve_app.config.resources import Resources
from serve_app.config.settings import IngressSettings

MINILM = "sentence-transformers--all-minilm-l6-v2"
CONFIGS = sorted(HOME.glob("configs/serve-*.yaml"))
Content = dict[str, Any]


def config() -> Content:
    return {
        "http_options": {"port": 6333},
        "applications": [
            {
                "name": "inference",
                "import_path": "serve_app.app:build",
                "args": {"models": ["sentence-transformers/all-minilm-l6-v2"]},
                "deployments": [{"name": MINILM, "user_config": {"threads": 2}, "ray_actor_options": {"num_cpus": 2}}],
            }
        ],
    }


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Any], Path]:
    def save(content: Any) -> Path:
        path = tmp_path / "serve.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
        return path

    return save


def changed(*keys: str | int, to: Any) -> Content:
    content: Any = config()
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = to
    return content


def autoscaled() -> list[Any]:
    """The deployments of the shipped files that are autoscaled."""
    return [
        pytest.param(deployment, id=f"{path.stem}-{deployment['name']}")
        for path in CONFIGS
        for deployment in yaml.safe_load(path.read_text(encoding="utf-8"))["applications"][0]["deployments"]
        if "autoscaling_config" in deployment
    ]


@pytest.mark.parametrize("deployment", autoscaled())
def test_a_light_update_keeps_the_replicas_that_autoscaling_has_chosen(deployment: Content) -> None:
    """By the part of Serve's controller that decides it; `initial_replicas` would bring that number back."""
    from ray.serve._private.autoscaling_state import DeploymentAutoscalingState  # noqa: PLC0415
    from ray.serve._private.common import DeploymentID  # noqa: PLC0415
    from ray.serve._private.config import DeploymentConfig  # noqa: PLC0415
    from ray.serve._private.deployment_info import DeploymentInfo  # noqa: PLC0415

    def info(queued: int) -> Any:
        scaling = AutoscalingConfig(**deployment["autoscaling_config"])
        config = DeploymentConfig(autoscaling_config=scaling, max_queued_requests=queued)
        replica: Any = SimpleNamespace(ray_actor_options={})
        return DeploymentInfo(config, replica, 0, "job", version="1")

    least, most = (deployment["autoscaling_config"][key] for key in ("min_replicas", "max_replicas"))
    state = DeploymentAutoscalingState(DeploymentID("m", "inference"))
    assert state.register(info(queued=64), 0) == least
    assert state.register(info(queued=65), most) == most


APPLICATION = ("applications", 0)
DEPLOYMENT = (*APPLICATION, "deployments", 0)

WRONG: list[tuple[Content, str]] = [
    (changed("http_option", to={}), r"serve.yaml:\d+: http_option: unknown key \(did you mean 'http_options'\?\)"),
    (changed("http_options", "prot", to=1), r"http_options.prot: unknown key \(did you mean 'port'\?\)"),
    (changed("http_options", "port", to="many"), "http_options.port: expected a whole number"),
    (changed(*APPLICATION, "replicas", to=1), "applications.0.replicas: unknown"),
    (changed(*DEPLOYMENT, "max_ongoing", to=1), "applications.0.deployments.0.max_ongoing: unknown"),
    (changed(*DEPLOYMENT, "ray_actor_options", to={"num_cpu": 1}), "ray_actor_options.num_cpu: unknown"),
    (changed(*DEPLOYMENT, "autoscaling_config", to={"min": 1}), "autoscaling_config.min: unknown"),
    (
        changed(*DEPLOYMENT, "autoscaling_config", to={"min_replicas": 3, "max_replicas": 2}),
        f"autoscaling_config of {MINILM}: .*max_replicas",
    ),
    *(
        (
            changed(*DEPLOYMENT, "autoscaling_config", to={"policy": {"policy_function": function}}),
            f"autoscaling_config.policy.policy_function: .*{missing}",
        )
        for function, missing in (("deployments.autoscaling:all", "'all'"), ("no.such:function", "'no'"))
    ),
    (changed(*DEPLOYMENT, "max_queued_requests", to=0), "max_queued_requests"),
    (
        changed(*DEPLOYMENT, "name", to="starter--splade-tiny"),
        "deployments.0.name: no deployment 'starter",
    ),
    (
        changed(*DEPLOYMENT, "user_config", to={"thread": 1}),
        r"deployments.0.user_config.thread: unknown key \(did you mean 'threads'\?\)",
    ),
    (changed(*DEPLOYMENT, "user_config", to={"token_budget": 0}), "token_budget: must be greater than 0"),
    (
        changed(*DEPLOYMENT, to={"name": "Ingress", "user_config": {"timeout": 1}}),
        r"user_config.timeout: unknown key \(did you mean 'timeout_s'\?\)",
    ),
    (changed(*DEPLOYMENT, to={"name": "ImageLoader"}), "no deployment 'ImageLoader'"),
    (
        changed(*APPLICATION, "args", to={"catalog": "x"}),
        r"applications.0.args.catalog: unknown key \(did you mean 'catalogue'\?\)",
    ),
    (changed(*APPLICATION, "args", to={"catalogue": "configs/models/none.yaml"}), "configs/models/none.yaml"),
    (
        changed(*APPLICATION, "args", to={"models": ["qdrant/bm52"]}),
        "no model 'qdrant/bm52' here",
    ),
    (changed(*APPLICATION, "import_path", to="other.app:build"), "import_path: expected serve_app.app:build"),
    (
        changed(*APPLICATION, "deployments", to=[{"name": MINILM}, {"name": MINILM}]),
        "listed twice|multiple times|unique",
    ),
    (changed("applications", to=[]), "applications: expected one, found 0"),
    (
        changed("grpc_options", to={"grpc_servicer_functions": ["grpc.nothing"]}),
        "0: no function 'grpc.nothing'",
    ),
    (changed("grpc_options", to={"grpc_servicer_functions": ["no.such.module"]}), "no function 'no.such.module'"),
]


@pytest.mark.parametrize(("content", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_a_mistake_is_refused_with_its_file_and_key(
    content: Content, message: str, saved: Callable[[Any], Path]
) -> None:
    path = saved(content)
    with pytest.raises(ConfigError, match=message) as caught:
        check(path)
    assert str(path) in str(caught.value) or "models" in str(caught.value)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_the_configs_of_the_project_are_right(path: Path) -> None:
    assert len(check(path)) > 1


@pytest.mark.parametrize("name", ["serve-cpu.yaml", "serve-gpu.yaml"])
def test_limits_that_a_config_shows_as_defaults_are_the_defaults(name: str) -> None:
    text = (HOME / "configs" / name).read_text()
    shown = {key: int(value) for key, value in re.findall(r"^ +# (\w+): (\d+) +# ", text, re.MULTILINE)}
    assert {"queue_tokens", "objects", "images", "text_characters", "free_tokens_per_month"} == shown.keys()
    assert shown.items() <= IngressSettings().model_dump().items()


def test_a_demand_is_what_the_file_says_and_else_the_default_of_serve(saved: Callable[[Any], Path]) -> None:
    content = changed(*DEPLOYMENT, "autoscaling_config", to={"min_replicas": 0, "max_replicas": 3})
    ingress, model = check(saved(content))
    assert (ingress.deployment, ingress.least, ingress.most, ingress.replica) == ("Ingress", 1, 1, Resources(cpus=1))
    assert (model.deployment, model.least, model.most, model.replica) == (MINILM, 0, 3, Resources(cpus=2))


@pytest.mark.parametrize(("replicas", "most"), [(4, 4), ("auto", 100)])
def test_replicas_may_be_a_number_or_auto(replicas: int | str, most: int, saved: Callable[[Any], Path]) -> None:
    assert check(saved(changed(*DEPLOYMENT, "num_replicas", to=replicas)))[1].most == most


def test_a_ray_service_is_read_where_its_config_stands(saved: Callable[[Any], Path]) -> None:
    def manifest(content: Content) -> str:
        service = {"kind": "RayService", "spec": {"serveConfigV2": yaml.safe_dump(content)}}
        return yaml.safe_dump_all([{"kind": "Namespace"}, service])

    assert len(check(saved(manifest(config())))) == 2
    with pytest.raises(ConfigError, match=r"serve.yaml:\d+: http_option: unknown"):
        check(saved(manifest(changed("http_option", to={}))))


@pytest.mark.parametrize("text", ["- 1\n", "just text", "", "a: 1\n---\nb: 2\n", "{"])
def test_what_is_no_config_is_refused(text: str, saved: Callable[[Any], Path]) -> None:
    with pytest.raises(ConfigError, match=r"serve.yaml"):
        check(saved(text))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        check(tmp_path / "none.yaml")


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["config", "check", *map(str, arguments)])
    return result.exit_code, result.output


def test_the_command_shows_resources_and_nodes(saved: Callable[[Any], Path]) -> None:
    content = changed(*DEPLOYMENT, "autoscaling_config", to={"min_replicas": 1, "max_replicas": 4})
    status, output = run(saved(content), "--node-cpus", 4, "--node-memory", "8Gi")
    assert status == 0
    assert "0-4" not in output
    assert "1-4" in output
    assert "nodes of 4 CPUs and 8 GiB: 1 at least, 3 at most" in output
    assert "GPUs and" not in output


def test_replicas_without_gpus_are_not_counted_on_nodes_with_them(saved: Callable[[Any], Path]) -> None:
    content = changed(*DEPLOYMENT, "ray_actor_options", to={"num_cpus": 1, "num_gpus": 1})
    content["applications"][0]["deployments"].append({"name": "Ingress", "ray_actor_options": {"num_cpus": 1}})
    output = run(saved(content), "--node-cpus", 4, "--node-gpus", 2, "--node-memory", "8Gi")[1]
    assert "nodes of 4 CPUs and 8 GiB: 1 at least, 1 at most" in output
    assert "nodes of 4 CPUs, 2 GPUs and 8 GiB: 1 at least, 1 at most" in output
    assert "nodes of 4 CPUs, 0.5 GPUs and 8 GiB are too small" in " ".join(
        run(saved(content), "--node-cpus", 4, "--node-gpus", 0.5, "--node-memory", "8Gi")[1].split()
    )


def test_nodes_for_a_custom_resource_are_counted_by_what_its_largest_replica_asks_for(
    saved: Callable[[Any], Path],
) -> None:
    content = changed(*DEPLOYMENT, "ray_actor_options", to={"num_cpus": 0, "resources": {"internet": 2}})
    content["applications"][0]["deployments"][0]["autoscaling_config"] = {"min_replicas": 1, "max_replicas": 4}
    output = run(saved(content), "--node-cpus", 4, "--node-memory", "8Gi")[1]
    assert "nodes of 4 CPUs and 8 GiB: 1 at least, 1 at most" in output
    assert "nodes of 4 CPUs, 2 internet and 8 GiB: 1 at least, 4 at most" in output


def test_the_embedded_store_is_counted_where_there_is_no_other(
    saved: Callable[[Any], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QDRANT_URL", raising=False)
    assert re.search(r"Store +1-1 +0.1", run(saved(config()))[1])
    monkeypatch.setenv("QDRANT_URL", "http://qdrant:6333")
    assert "Store" not in run(saved(config()))[1]


def test_the_command_says_when_a_node_is_too_small(saved: Callable[[Any], Path]) -> None:
    assert "too small" in run(saved(config()), "--node-cpus", 1)[1]


def test_the_command_fails_on_a_wrong_file(saved: Callable[[Any], Path]) -> None:
    status, output = run(saved(changed("http_option", to={})))
    assert status == 1
    assert "unknown key" in output
