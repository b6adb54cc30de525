"""Models are added to a catalogue file as text: what stands there stays."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from deployments.catalogue import catalogue
from deployments.catalogue.card import ModelCard
from deployments.catalogue.catalogue import HOME
from deployments.catalogue.entry import append, as_yaml, expect_new
from deployments.errors import ConfigError

STARTER = HOME / "configs" / "models" / "starter.yaml"
OURS = ModelCard.model_validate(
    {"name": "ours/bert", "family": "dense", "dimensions": 16, "context_window": 32, "pooling": "cls", "licence": "MIT",
     "prefixes": {"query": "ask: "}, "model_card_url": "our wiki",
     "sources": [{"folder": "/models/bert", "files": {"a": {}}}]}
)  # fmt: skip
OLD = """\
# Ours, in our order.

models:
    # the one for the shop
    - name: qdrant/bm25   # as in the cloud
      family: bm25
      licence: Apache-2.0
      model_card_url: none
"""


def test_an_entry_says_what_the_card_says() -> None:
    (plain,) = yaml.safe_load(as_yaml([OURS]))
    assert ModelCard.model_validate(plain) == OURS
    assert "aliases" not in plain


def test_a_new_catalogue_includes_the_starter_models(tmp_path: Path) -> None:
    path = tmp_path / "new" / "own.yaml"
    append([OURS], path, STARTER)
    names = [card.name for card in catalogue.load(path)]
    assert names == [*(card.name for card in catalogue.load(STARTER)), "ours/bert"]
    append([OURS.model_copy(update={"name": "ours/second"})], path, STARTER)
    assert [card.name for card in catalogue.load(path)] == [*names, "ours/second"]


def test_a_new_catalogue_names_the_starter_models_wherever_the_project_lies(tmp_path: Path) -> None:
    append([OURS], tmp_path / "own.yaml", STARTER)
    assert yaml.safe_load((tmp_path / "own.yaml").read_text())["include"] == ["configs/models/starter.yaml"]


def test_what_stood_in_the_file_stays_to_the_letter(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(OLD)
    append([OURS], path, STARTER)
    assert path.read_text().startswith(OLD)
    assert [card.name for card in catalogue.load(path)] == ["qdrant/bm25", "ours/bert"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_does_not_end_with_its_models_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(f"{OLD}include: []\n")
    with pytest.raises(ConfigError, match="add the entry by hand"):
        append([OURS], path, STARTER)
    assert path.read_text() == f"{OLD}include: []\n"


@pytest.mark.parametrize("name", ["qdrant/bm25", "Qdrant/BM25"])
def test_a_name_that_is_taken_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "own.yaml"
    expect_new([OURS], path)
    path.write_text(OLD)
    expect_new([OURS], path)
    with pytest.raises(ConfigError, match=f"own.yaml: there is a model '{name}' already"):
        expect_new([OURS.model_copy(update={"name": name})], path)
