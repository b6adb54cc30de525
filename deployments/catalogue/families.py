"""The families of models: what is true of every model of a family, in one record each.

A new family is one record here and one module with a function `load`, which the record names. Nothing heavy is imported
here: the gateway reads these records too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from deployments.catalogue.bm25_options import Bm25Options
from deployments.catalogue.records import Options
from deployments.catalogue.word_options import Bm42Options, MiniCoilOptions
from deployments.kinds import VectorKind

Modality = Literal["text", "image", "pair"]
Precision = Literal["float32", "bfloat16", "float16"]
Checkpoint = Literal["dense", "sparse", "late-interaction", "clip", "text-image", "cross-encoder", "bm42", "minicoil"]
"""What files on disk hold; `--family` of `models add`. A CLIP holds two models."""


@dataclass(frozen=True)
class FamilySpec:
    """One family.

    Attributes:
        kind: what a result is to Qdrant.
        reads: what its models read; of several kinds, the vectors lie in one space.
        provider: the module whose `load(card, folder, settings)` gives a `deployments.families.protocol.Family`.
        needs: the fields that a model's card must have, of those in `FIELDS`.
        may_have: those that it may have beside them; it can have no others of `FIELDS`.
        options: the options that an inference object may have.
        modifier: of Qdrant's sparse vectors, which its collections need.
        checkpoint: what it is read from; None if it has no files. Families with the same one are sides of one model,
            and share a space.
        suffix: the end of a model's name, if its checkpoint holds several.
        unsuitable_precisions: those that `auto` never chooses, each with what was measured.
    """

    name: str
    kind: VectorKind
    reads: tuple[Modality, ...]
    provider: str
    needs: frozenset[str]
    may_have: frozenset[str] = frozenset()
    options: type[Options] = Options
    modifier: Literal["idf"] | None = None
    checkpoint: Checkpoint | None = None
    suffix: str = ""
    unsuitable_precisions: Mapping[Precision, str] = field(default_factory=dict)


FIELDS = frozenset(
    {"dimensions", "context_window", "pooling", "projections", "matryoshka", "instruction", "output", "task_ids"}
    | {"markers", "query_weights", "log_twice"}
    | {"filled_with", "lowercase", "heads"}
    | {"image_size", "image_limits", "image_shape", "sources"}
)
"""The fields of a card that not every family has."""

_DENSE = FamilySpec(
    name="dense",
    kind="dense",
    reads=("text",),
    provider="deployments.families.dense",
    needs=frozenset({"dimensions", "context_window", "pooling", "sources"}),
    may_have=frozenset({"projections", "matryoshka", "instruction", "output", "task_ids", "heads"}),
    checkpoint="dense",
)
_SPARSE = FamilySpec(
    name="sparse",
    kind="sparse",
    reads=("text",),
    provider="deployments.families.sparse",
    needs=frozenset({"context_window", "sources"}),
    may_have=frozenset({"output", "query_weights", "log_twice"}),
    checkpoint="sparse",
    unsuitable_precisions={
        "bfloat16": "cosine to float32 down to 0.9995 (SPLADE), whose entries come from a few large numbers"
    },
)
_BM25 = FamilySpec(
    name="bm25",
    kind="sparse",
    reads=("text",),
    provider="deployments.families.bm25",
    needs=frozenset(),
    options=Bm25Options,
    modifier="idf",
)
_BM42 = FamilySpec(
    name="bm42",
    kind="sparse",
    reads=("text",),
    provider="deployments.families.bm42",
    needs=frozenset({"context_window", "sources"}),
    may_have=frozenset({"output"}),
    options=Bm42Options,
    modifier="idf",
    checkpoint="bm42",
    unsuitable_precisions={"bfloat16": "not measured; a share of the attention has few bits in it"},
)
_MINICOIL = FamilySpec(
    name="minicoil",
    kind="sparse",
    reads=("text",),
    provider="deployments.families.minicoil",
    needs=frozenset({"context_window", "sources"}),
    may_have=frozenset({"output"}),
    options=MiniCoilOptions,
    modifier="idf",
    checkpoint="minicoil",
    unsuitable_precisions={"bfloat16": "not measured; vectors of words have only a few numbers each"},
)
_LATE_INTERACTION = FamilySpec(
    name="late-interaction",
    kind="multivector",
    reads=("text",),
    provider="deployments.families.late_interaction",
    needs=frozenset({"dimensions", "context_window", "markers", "sources"}),
    may_have=frozenset({"projections", "output"}),
    checkpoint="late-interaction",
    unsuitable_precisions={"bfloat16": "cosine to float32 down to 0.9998, for the vectors of single tokens"},
)
_CLIP_TEXT = FamilySpec(
    name="clip-text",
    kind="dense",
    reads=("text",),
    provider="deployments.families.clip_text",
    needs=frozenset({"dimensions", "context_window", "sources"}),
    checkpoint="clip",
    suffix="-text",
)
_CLIP_VISION = FamilySpec(
    name="clip-vision",
    kind="dense",
    reads=("image",),
    provider="deployments.families.clip_vision",
    needs=frozenset({"dimensions", "image_size", "image_limits", "sources"}),
    may_have=frozenset({"image_shape"}),
    checkpoint="clip",
    suffix="-vision",
)
_TEXT_IMAGE = FamilySpec(
    name="text-image",
    kind="dense",
    reads=("text", "image"),
    provider="deployments.families.text_image",
    needs=frozenset({"dimensions", "context_window", "image_size", "image_limits", "sources"}),
    may_have=frozenset({"image_shape", "filled_with", "lowercase", "output", "matryoshka"}),
    checkpoint="text-image",
)

_CROSS_ENCODER = FamilySpec(
    name="cross-encoder",
    kind="score",
    reads=("pair",),
    provider="deployments.families.cross_encoder",
    needs=frozenset({"context_window", "sources"}),
    may_have=frozenset({"output"}),
    checkpoint="cross-encoder",
    unsuitable_precisions={
        "bfloat16": "not measured; by its bits, scores from 4 to 8 lie in steps of 1/32, so that documents tie"
    },
)

FAMILIES: dict[str, FamilySpec] = {
    spec.name: spec
    for spec in (
        _DENSE,
        _SPARSE,
        _BM25,
        _BM42,
        _MINICOIL,
        _LATE_INTERACTION,
        _CLIP_TEXT,
        _CLIP_VISION,
        _TEXT_IMAGE,
        _CROSS_ENCODER,
    )
}
"""All families by name, as the catalogue's key `family` has it."""
