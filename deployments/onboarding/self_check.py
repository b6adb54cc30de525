"""Checks of a model that was just added: it gives vectors, and the same ones whatever they are computed with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Union

import numpy as np

from deployments.catalogue.card import HeadCard, ModelCard, head_cards
from deployments.catalogue.families import Modality
from deployments.contract import Batch, Direction, Floats, Pair, Pixels, SparseVector, Vector
from deployments.errors import InferenceError, ModelError
from deployments.families.protocol import Family
from deployments.onboarding.in_process import embed

_Inputs = Union[Sequence[str], Sequence[Pixels], Sequence[Pair]]

_TOLERANCE = 1e-4
"""The largest difference that rounding makes, relative to the largest number; mistakes make one of a tenth or more."""

_TEXTS = (
    "A cup of tea",
    "How to change the oil of a car",
    "Recipes for baking chocolate chip cookies, with butter, brown sugar and vanilla, for a dozen people and more. "
    * 8,
    "42!",
)


_DIRECTIONS: Mapping[Modality, Sequence[Direction]] = {
    "text": ("update", "search"),
    "image": ("update",),
    "pair": ("search",),
}


def self_check(family: Family, card: ModelCard) -> list[str]:
    """What was found, one line a check.

    Raises:
        ModelError: names the check that failed.
    """
    try:
        return [
            f"{_which(card, one, reads)}{direction}: {line}"
            for one in (card, *head_cards(card))
            for reads in card.reads
            for direction in _DIRECTIONS[reads]
            for line in _check(partial(_embed, family, direction, one), one, _inputs(card, reads))
        ]
    except InferenceError as error:
        raise ModelError(f"{card.name}: {error.message}") from error


def _which(card: ModelCard, one: ModelCard, reads: Modality) -> str:
    """What a check is about, if a model has several vectors or reads several kinds of inputs."""
    told = [*([one.name] if one is not card else []), *([reads] if len(card.reads) > 1 else [])]
    return "".join(f"{part}, " for part in told)


def _check(embed_: Callable[[_Inputs], list[Vector]], card: ModelCard, inputs: _Inputs) -> list[str]:
    together = embed_(inputs)
    alone = [vector for position in range(len(inputs)) for vector in embed_(inputs[position:][:1])]
    return [
        _shape(card, together),
        _finite(card, together),
        *_normalized(card, together),
        _equal(card, "of two runs", together, embed_(inputs)),
        _equal(card, "of one alone and one among others", together, alone),
        _distinct(card, together),
    ]


def _inputs(card: ModelCard, reads: Modality) -> _Inputs:
    if reads == "pair":
        return [Pair(_TEXTS[0], text) for text in _TEXTS]
    return _TEXTS if reads == "text" else _images(int(card.image_size or 0))


def _embed(family: Family, direction: Direction, card: ModelCard, inputs: _Inputs) -> list[Vector]:
    if isinstance(card, HeadCard):
        joined = embed(family, Batch(inputs, direction, kinds=(card.vector_kind,))).vectors
        return [joined[position][0] for position in range(len(joined))]  # type: ignore[index]
    vectors = embed(family, Batch(inputs, direction)).vectors
    return [vectors[position] for position in range(len(vectors))]


def _images(side: int) -> list[Pixels]:
    """Two of noise, and a grey one."""
    noise = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), np.uint8)
    return [*noise, np.full((side, side, 3), 128, np.uint8)]


def _shape(card: ModelCard, vectors: Sequence[Vector]) -> str:
    first = vectors[0]
    if card.vector_kind == "score":
        return "a score for each pair"
    if isinstance(first, SparseVector):
        return f"sparse, {len(first.indices)} entries for '{_TEXTS[0]}'"
    if first.shape[-1] != card.dimensions:
        raise ModelError(f"{card.name}: the vectors have {first.shape[-1]} dimensions, not {card.dimensions}")
    return f"{card.dimensions} dimensions" + (f", {len(first)} vectors for '{_TEXTS[0]}'" if first.ndim > 1 else "")


def _finite(card: ModelCard, vectors: Sequence[Vector]) -> str:
    for vector in vectors:
        numbers = _numbers(vector)
        if not len(numbers) or not np.isfinite(numbers).all():
            raise ModelError(f"{card.name}: a vector is empty, or has numbers that are not finite")
    return "all numbers are finite"


def _normalized(card: ModelCard, vectors: Sequence[Vector]) -> list[str]:
    if card.vector_kind in {"sparse", "score"} or not card.normalize:
        return []
    off = max(float(np.abs(np.linalg.norm(_numbers(vector), axis=-1) - 1).max()) for vector in vectors)
    if off > _TOLERANCE:
        raise ModelError(f"{card.name}: the vectors are not normalized: a length is off by {off:.1e}")
    return [f"normalized, lengths off by at most {off:.0e}"]


def _equal(card: ModelCard, of_what: str, some: Sequence[Vector], others: Sequence[Vector]) -> str:
    worst = max(_difference(one, other) for one, other in zip(some, others, strict=True))
    if worst > _TOLERANCE:
        raise ModelError(f"{card.name}: the vectors {of_what} differ by {worst:.1e}")
    return f"the vectors {of_what} differ by at most {worst:.0e}"


def _distinct(card: ModelCard, vectors: Sequence[Vector]) -> str:
    if _difference(vectors[0], vectors[1]) < _TOLERANCE:
        raise ModelError(f"{card.name}: two inputs that have nothing in common get the same vector")
    return "different inputs get different vectors"


def _difference(one: Vector, other: Vector) -> float:
    """The largest difference of two vectors' numbers, relative to the largest number; 1 if their shapes differ."""
    if isinstance(one, SparseVector) and isinstance(other, SparseVector):
        first, second = (dict(zip(vector.indices.tolist(), vector.values, strict=True)) for vector in (one, other))
        differences = np.array([first.get(index, 0) - second.get(index, 0) for index in first.keys() | second.keys()])
    elif _numbers(one).shape == _numbers(other).shape:
        differences = _numbers(one) - _numbers(other)
    else:
        return 1.0
    return float(np.abs(differences).max() / np.abs(_numbers(one)).max())


def _numbers(vector: Vector) -> Floats:
    return vector.values if isinstance(vector, SparseVector) else vector
