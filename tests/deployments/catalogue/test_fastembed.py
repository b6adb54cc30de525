"""The catalogue of fastembed's text models has all of them, as fastembed has them."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from deployments.catalogue.card import HubSource
from deployments.catalogue.catalogue import HOME, Catalogue, load
from deployments.errors import UnknownModel
from tests.support.fastembed_models import CATALOGUE, facts, live_facts, table


@pytest.fixture
def catalogue() -> Catalogue:
    return load(CATALOGUE)


def test_every_model_is_served_or_it_is_said_why_not(catalogue: Catalogue) -> None:
    for name in facts():
        if name not in catalogue.not_yet:
            assert catalogue.find(name, "test")
    assert set(catalogue.not_yet) <= set(facts()), "a model that fastembed does not have"


def test_vectors_are_those_of_fastembed(catalogue: Catalogue) -> None:
    for name, told in facts().items():
        if name in catalogue.not_yet:
            continue
        card = catalogue.find(name, "test")
        assert card.dimensions == told["dimensions"], name
        if "pooling" in told:
            assert card.normalize == told["normalized"], name
            assert card.pooling == told["pooling"] or "image" in card.reads, "those have files that pool"


def test_every_source_has_what_its_model_needs_to_run(catalogue: Catalogue) -> None:
    for card in (card for card in catalogue if card.modality != "image"):
        for source in card.sources:
            assert isinstance(source, HubSource)
            assert {"tokenizer.json", "config.json"} < set(source.files), card.name
            assert len({"model.onnx", "text_model.onnx", "model.safetensors"} & set(source.files)) == 1
            if "image" in card.reads:
                assert "preprocessor_config.json" in source.files
                assert ("text_model.onnx" in source.files) == ("vision_model.onnx" in source.files)
        ready = ["model.safetensors" not in source.files for source in card.sources]
        assert ready == sorted(ready), f"{card.name}: what is built here comes first"


def test_who_asks_for_what_cannot_be_served_yet_is_told_why(catalogue: Catalogue) -> None:
    with pytest.raises(UnknownModel, match=r"model: minishlab/POTION-base-8m cannot be served yet: static vec"):
        catalogue.find("minishlab/POTION-base-8m", "model")
    with pytest.raises(UnknownModel, match="cannot be served yet"):
        catalogue.only(["qdrant/bm25"]).find("minishlab/potion-base-8M", "model")
    with pytest.raises(UnknownModel, match="no model 'potion' here"):
        catalogue.find("potion", "model")


def test_the_page_has_the_table_of_the_catalogue() -> None:
    page = (HOME / "docs" / "fastembed.md").read_text(encoding="utf-8")
    assert table() in page, "print it by 'python -m tests.support.fastembed_models'"


@pytest.mark.skipif(find_spec("fastembed") is None, reason="fastembed is not installed")
def test_what_was_stored_is_what_fastembed_lists_now() -> None:
    assert live_facts() == facts()
