"""What the command line says in place of a Serve config file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.catalogue.catalogue import HOME
from deployments.errors import ConfigError
from serve_app.cli.config_check import check, check_content
from serve_app.cli.files import LOCAL
from serve_app.cli.serve_config import AS_IN_THE_FILE, Overrides, read

BM25 = "models:\n- {name: ours/bm25, family: bm25, licence: none, model_card_url: none}\n"


def local() -> Any:
    return read(LOCAL)[0]


def deployments(content: Any) -> list[str]:
    return [one["name"] for one in content["applications"][0]["deployments"]]


def test_without_options_the_file_stays_as_it_is() -> None:
    assert AS_IN_THE_FILE.apply(local()) == local()


@pytest.mark.parametrize(
    ("given", "rest", "grpc"),
    [
        (Overrides(port=7000), 7000, 7001),
        (Overrides(grpc_port=7005), 6333, 7005),
        (Overrides(port=7000, grpc_port=9), 7000, 9),
    ],
)
def test_the_grpc_port_follows_the_rest_port_unless_it_is_given(given: Overrides, rest: int, grpc: int) -> None:
    changed = given.apply(local())
    assert (changed["http_options"]["port"], changed["grpc_options"]["port"]) == (rest, grpc)
    assert changed["http_options"]["host"] == "127.0.0.1"
    assert changed["grpc_options"]["grpc_servicer_functions"]


def test_a_host_is_that_of_the_command_line() -> None:
    assert Overrides(host="0.0.0.0").apply(local())["http_options"]["host"] == "0.0.0.0"


def test_models_that_are_chosen_leave_no_deployment_of_others() -> None:
    changed = Overrides(models=["Qdrant/BM25"]).apply(local())
    assert deployments(changed) == ["Ingress", "qdrant--bm25"]
    assert check_content(changed, read(LOCAL)[1])


def test_models_that_the_file_does_not_list_take_a_share_of_a_core(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(f"include: [configs/models/starter.yaml]\n{BM25}")
    changed = Overrides(catalogue=tmp_path / "own.yaml").apply(local())
    assert deployments(changed) == [*deployments(local()), "ours--bm25"]
    assert changed["applications"][0]["deployments"][-1]["ray_actor_options"] == {"num_cpus": 0.1}
    assert changed["applications"][0]["args"]["catalogue"] == str(tmp_path / "own.yaml")


def test_a_model_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="--models: no model 'x' here; available: "):
        Overrides(models=["x"]).apply(local())


def test_a_catalogue_beside_the_file_is_found_and_one_of_the_project_counts_more(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(BM25)
    content = yaml.safe_load((HOME / "configs/serve-local.yaml").read_text())
    content["applications"][0] |= {"args": {"catalogue": "own.yaml"}, "deployments": []}
    path = tmp_path / "serve.yaml"
    path.write_text(yaml.safe_dump(content))
    assert [demand.deployment for demand in check(path)] == ["Ingress", "ours--bm25"]
    (tmp_path / "configs" / "models").mkdir(parents=True)
    (tmp_path / "configs" / "models" / "starter.yaml").write_text(BM25)
    content["applications"][0]["args"]["catalogue"] = "configs/models/starter.yaml"
    path.write_text(yaml.safe_dump(content))
    assert "ours--bm25" not in [demand.deployment for demand in check(path)]
