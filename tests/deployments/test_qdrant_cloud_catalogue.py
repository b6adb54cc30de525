"""The catalogue of the models that Qdrant Cloud hosts."""

from __future__ import annotations

import pytest

from deployments.catalogue import Catalogue, HubSource, load


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


def test_prefixes_end_with_the_space_that_the_models_were_trained_with(catalogue: Catalogue) -> None:
    prefixes = [text for card in catalogue for text in (card.prefixes.query, card.prefixes.passage) if text]
    assert len(prefixes) == 4
    assert all(text.endswith(": ") for text in prefixes)
