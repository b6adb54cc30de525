"""Catalogues that include others, and the catalogue that the documentation shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from deployments.catalogue.card import File, Head, Markers, ModelCard, Prefixes
from deployments.catalogue.catalogue import HOME, load
from deployments.errors import ConfigError

MODELS = HOME / "configs" / "models"
README = (MODELS / "README.md").read_text(encoding="utf-8")
ENTRY = "- {name: %s, family: dense, dimensions: 4, context_window: 8, pooling: mean, licence: -, model_card_url: -, "


def write(path: Path, name: str, *, include: str = "") -> Path:
    path.parent.mkdir(exist_ok=True)
    entry = ENTRY % name + "sources: [{folder: weights, files: {model.safetensors: {}}}]}"
    path.write_text(f"include: [{include}]\nmodels:\n  {entry}\n")
    return path


def test_included_models_come_first_and_their_folders_lie_beside_their_own_file(tmp_path: Path) -> None:
    write(tmp_path / "base" / "shared.yaml", "theirs")
    path = write(tmp_path / "own.yaml", "ours", include="base/shared.yaml")
    theirs, ours = load(path)
    assert (theirs.name, ours.name) == ("theirs", "ours")
    assert [source.folder for card in (theirs, ours) for source in card.sources] == [
        tmp_path / "base" / "weights",
        tmp_path / "weights",
    ]


def test_a_model_that_two_files_name_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "shared.yaml", "ours")
    with pytest.raises(ConfigError, match="two models answer to the name 'Ours'"):
        load(write(tmp_path / "own.yaml", "Ours", include="shared.yaml"))


def test_files_that_include_each_other_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "one.yaml", "one", include="two.yaml")
    with pytest.raises(ConfigError, match=r"two.yaml: include: the file includes itself, by way of .*one.yaml"):
        load(write(tmp_path / "two.yaml", "two", include="one.yaml"))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent.yaml"):
        load(write(tmp_path / "own.yaml", "ours", include="absent.yaml"))


def test_the_example_of_the_documentation_loads(tmp_path: Path) -> None:
    (example,) = re.findall(r"<!-- tested: own.yaml -->\n```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "own.yaml").write_text(example.replace("[starter.yaml]", f"[{MODELS / 'starter.yaml'}]"))
    *included, ours = load(tmp_path / "own.yaml")
    assert len(included) == len(load(MODELS / "starter.yaml"))
    assert (ours.name, ours.prefixes.query) == ("shop/products", "query: ")


def test_the_example_of_a_network_with_several_vectors_loads(tmp_path: Path) -> None:
    (example,) = re.findall(r"<!-- tested: bge-m3.yaml -->\n```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "own.yaml").write_text(example)
    assert [(card.name, card.vector_kind, card.dimensions) for card in load(tmp_path / "own.yaml")] == [
        ("BAAI/bge-m3", "dense", 1024),
        ("BAAI/bge-m3-sparse", "sparse", None),
        ("BAAI/bge-m3-colbert", "multivector", 1024),
    ]


def test_prefixes_can_be_switched_off() -> None:
    (e5,) = [card for card in load(MODELS / "qdrant-cloud.yaml") if card.name == "intfloat/multilingual-e5-small"]
    content = e5.model_dump(exclude_unset=True)
    assert ModelCard.model_validate({**content, "prefixes": False}).prefixes == Prefixes()
    with pytest.raises(ValidationError):
        ModelCard.model_validate({**content, "prefixes": True})


@pytest.mark.parametrize("record", [ModelCard, Markers, Prefixes, File, Head])
def test_every_key_of_a_model_is_documented(record: type[ModelCard]) -> None:
    assert [name for name in record.model_fields if f"`{name}`" not in README] == []
