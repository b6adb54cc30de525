"""The catalogue of the models that Qdrant Cloud hosts."""

from __future__ import annotations

import re

import pytest

from deployments.catalogue.card import HubSource, Markers
from deployments.catalogue.catalogue import Catalogue, load


@pytest.fixture
def catalogue() -> Catalogue:
    return load("configs/models/qdrant-cloud.yaml")


def test_all_models_are_there_as_what_qdrant_takes_them_for(catalogue: Catalogue) -> None:
    assert {card.name: (card.vector_kind, card.modality, card.dimensions) for card in catalogue} == {
        "sentence-transformers/all-minilm-l6-v2": ("dense", "text", 384),
        "intfloat/multilingual-e5-small": ("dense", "text", 384),
        "mixedbread-ai/mxbai-embed-large-v1": ("dense", "text", 1024),
        "BAAI/bge-small-en-v1.5": ("dense", "text", 384),
        "qdrant/clip-vit-b-32-text": ("dense", "text", 512),
        "qdrant/clip-vit-b-32-vision": ("dense", "image", 512),
        "qdrant/bm25": ("sparse", "text", None),
        "prithivida/splade_pp_en_v1": ("sparse", "text", None),
        "answerdotai/answerai-colbert-small-v1": ("multivector", "text", 96),
    }


def test_every_source_has_what_its_model_needs_to_run(catalogue: Catalogue) -> None:
    for card in catalogue:
        other = "tokenizer.json" if card.modality == "text" else "preprocessor_config.json"
        for source in card.sources:
            assert isinstance(source, HubSource)
            assert {other, "config.json"} < set(source.files)
            assert len({"model.onnx", "model.safetensors"} & set(source.files)) == 1


def test_each_model_is_built_from_its_checkpoint_where_there_is_one_and_else_what_fastembed_uses(
    catalogue: Catalogue,
) -> None:
    without = {"qdrant/clip-vit-b-32-text", "prithivida/splade_pp_en_v1"}
    for card in (card for card in catalogue if card.sources):
        first, *others = card.sources
        assert ("model.safetensors" in first.files) == (card.name not in without)
        assert any("model.onnx" in source.files for source in (first, *others))


def test_no_model_changes_by_itself(catalogue: Catalogue) -> None:
    for source in (source for card in catalogue for source in card.sources):
        assert isinstance(source, HubSource)
        assert re.fullmatch("[0-9a-f]{40}", source.revision)


def test_the_fine_print_is_that_of_the_model_cards(catalogue: Catalogue) -> None:
    reading = {card.name: (card.context_window, card.pooling) for card in catalogue if card.family == "dense"}
    assert reading == {
        "sentence-transformers/all-minilm-l6-v2": (256, "mean"),
        "intfloat/multilingual-e5-small": (512, "mean"),
        "mixedbread-ai/mxbai-embed-large-v1": (512, "cls"),
        "BAAI/bge-small-en-v1.5": (512, "cls"),
    }
    assert all(card.normalize for card in catalogue)
    assert catalogue.find("prithvida/Splade_PP_en_v1", "test").context_window == 512
    colbert = catalogue.find("answerdotai/answerai-colbert-small-v1", "test")
    assert colbert.markers == Markers(query=1, document=2, query_length=32, skip_punctuation=True)


def test_prefixes_end_with_the_space_that_the_models_were_trained_with(catalogue: Catalogue) -> None:
    prefixes = [text for card in catalogue for text in (card.prefixes.query, card.prefixes.passage) if text]
    assert len(prefixes) == 4
    assert all(text.endswith(": ") for text in prefixes)
