"""Late interaction as the ColBERT library lays it out (artifact.metadata), or PyLate (sentence-transformers' files)."""

from __future__ import annotations

import string
from typing import Any

from deployments.architectures.projection import activation_of
from deployments.catalogue.card import Markers
from deployments.errors import ModelError
from deployments.onboarding.inspection.repository import CONFIG, Repository
from deployments.onboarding.inspection.sentence_transformers import expect_modules, projections, window

METADATA = "artifact.metadata"


def fields(files: Repository) -> dict[str, Any]:
    """What the catalogue says of such a model, beside what it says of every one.

    Raises:
        ModelError: it is of a kind that is not known here.
    """
    return _colbert(files) if METADATA in files.paths else _pylate(files)


def _colbert(files: Repository) -> dict[str, Any]:
    settings = files.json(METADATA)
    _refuse(settings, METADATA, attend_to_mask_tokens=True)
    markers = Markers(
        query=files.token(settings.get("query_token_id", "[unused0]")),
        document=files.token(settings.get("doc_token_id", "[unused1]")),
        query_length=settings.get("query_maxlen", 32),
        skip_punctuation=settings.get("mask_punctuation", True),
    )
    longest = min(settings.get("doc_maxlen", window(files)), window(files))
    return {"dimensions": settings.get("dim", 128), "context_window": longest, "markers": markers}


def _pylate(files: Repository) -> dict[str, Any]:
    expect_modules(files, "Transformer", "Dense")
    settings, where = files.json("config_sentence_transformers.json"), "config_sentence_transformers.json"
    _refuse(settings, where, attend_to_expansion_tokens=True, do_query_expansion=False)
    skipped = settings.get("skiplist_words", list(string.punctuation))
    if sorted(skipped) not in ([], sorted(string.punctuation)):
        raise ModelError(f"{where}: 'skiplist_words' can be all punctuation or none here")
    if not settings.get("query_prefix") or not settings.get("document_prefix"):
        raise ModelError(
            f"{where} has no 'query_prefix' and 'document_prefix': a model without markers cannot be run here"
        )
    markers = Markers(
        query=files.token(settings["query_prefix"]),
        document=files.token(settings["document_prefix"]),
        query_length=settings.get("query_length", 32),
        skip_punctuation=bool(skipped),
    )
    found = projections(files)
    for folder in found:
        if activation_of(files.json(f"{folder}/{CONFIG}"), f"{folder}/{CONFIG}") != "Identity":
            raise ModelError(f"{folder}/{CONFIG}: a projection with an activation function cannot be run here")
    longest = min(settings.get("document_length") or window(files), window(files))
    return {
        "dimensions": [*found.values()][-1],
        "context_window": longest,
        "markers": markers,
        "projections": list(found),
    }


def _refuse(settings: dict[str, Any], where: str, **unknown: bool) -> None:
    for name, value in unknown.items():
        if settings.get(name) is value:
            raise ModelError(f"{where}: '{name}: {str(value).lower()}' cannot be run here")
