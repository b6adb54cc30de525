"""A small catalogue: one dense model, one for images, and BM25."""

from __future__ import annotations

from pathlib import Path

from deployments.catalogue.card import Head, ModelCard, Prefixes
from deployments.catalogue.catalogue import Catalogue

DENSE = ModelCard(
    name="org/dense",
    aliases=("dense",),
    family="dense",
    dimensions=4,
    context_window=8,
    pooling="mean",
    matryoshka=(2, 4),
    prefixes=Prefixes(query="query: ", passage="passage: "),
    licence="MIT",
    model_card_url="none",
    sources=({"folder": Path(), "files": {}},),  # type: ignore[arg-type]
)
BM25 = ModelCard(name="qdrant/bm25", family="bm25", licence="MIT", model_card_url="none")
VISION = ModelCard(
    name="org/vision",
    family="clip-vision",
    dimensions=4,
    image_size=2,
    image_limits={"max_bytes": 10},  # type: ignore[arg-type]
    licence="MIT",
    model_card_url="none",
    sources=({"folder": Path(), "files": {}},),  # type: ignore[arg-type]
)
BOTH = ModelCard(
    name="org/both",
    family="text-image",
    dimensions=4,
    context_window=8,
    image_size=2,
    image_limits={},  # type: ignore[arg-type]
    image_shape={"fit": "stretch", "resample": "bilinear"},  # type: ignore[arg-type]
    prefixes=Prefixes(query="find: "),
    licence="MIT",
    model_card_url="none",
    sources=({"folder": Path(), "files": {}},),  # type: ignore[arg-type]
)
"""Of texts and of images; not in the catalogue, which has no model for more than one kind."""
MANY = DENSE.model_copy(
    update={
        "name": "org/many",
        "aliases": (),
        "heads": (
            Head(family="sparse", weights="sparse_linear.pt"),
            Head(family="late-interaction", weights="colbert_linear.pt"),
        ),
    }
)
"""With three kinds of vectors of one network; not in the catalogue either."""
CATALOGUE = Catalogue((DENSE, BM25, VISION), Path("test.yaml"))
