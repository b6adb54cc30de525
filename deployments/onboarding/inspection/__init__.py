"""Reads what a model is out of the files that come with it, and writes its catalogue entry.

What the files leave open is not guessed: the caller says the family, or the model is refused with the name of what is
not known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from deployments.catalogue.card import File, ImageLimits, ModelCard, Source
from deployments.catalogue.records import validated
from deployments.errors import ModelError
from deployments.onboarding.inspection import colbert
from deployments.onboarding.inspection import sentence_transformers as st
from deployments.onboarding.inspection.repository import CONFIG, TOKENIZER, Repository

Kind = Literal["dense", "sparse", "late-interaction", "clip"]
"""What a checkpoint is; that of a CLIP holds two models."""

_PREPROCESSOR = "preprocessor_config.json"
_CLIP = {"max_position_embeddings": 77, "projection_dim": 512, "image_size": 224}
"""The settings that transformers leaves out of a config.json where they are CLIP's own."""

MakeSource = Callable[[Mapping[str, File]], Source]


def inspect(files: Repository, name: str, card: str, source: MakeSource, kind: Kind | None) -> Sequence[ModelCard]:
    """The catalogue's records of the model, or of the two models of a CLIP.

    Args:
        files: the model's files.
        name: what the model shall be called; the models of a CLIP are `<name>-text` and `<name>-vision`.
        card: where one can read about it.
        source: makes the source of some of the files.
        kind: what the model is; None to see it from its files.

    Raises:
        ModelError: names what is unknown, missing, or ambiguous.
        ModelFilesError: a file is damaged.
    """
    if CONFIG not in files.paths:
        raise ModelError(f"there is no {CONFIG}: this is no checkpoint of a model")
    common = {"name": name, "licence": files.licence(), "card": card}
    weights = {**files.weights(), CONFIG: File()}
    describe = {"dense": _dense, "sparse": _sparse, "late-interaction": _late_interaction, "clip": _clip}
    found = describe[kind or _kind(files)](files, weights)
    return [
        validated(ModelCard, {**common, **fields, "sources": [source(used)], "name": name + suffix}, name)
        for suffix, fields, used in found
    ]


_Found = list[tuple[str, dict[str, Any], dict[str, File]]]
"""For each model: the end of its name, the catalogue's fields, and the files that it needs."""


def _kind(files: Repository) -> Kind:
    config = files.json(CONFIG)
    architectures = [str(name) for name in config.get("architectures") or ()]
    modules = [module.name for module in st.modules(files)]
    if config.get("model_type") == "clip":
        return "clip"
    if colbert.METADATA in files.paths or "HF_ColBERT" in architectures or modules == ["Transformer", "Dense"]:
        return "late-interaction"
    if "SpladePooling" in modules:
        return "sparse"
    if "Pooling" in modules or (not modules and [name for name in architectures if name.endswith("Model")]):
        return "dense"
    if modules:
        raise ModelError(f"modules.json: models of {', '.join(modules)} are not known here")
    if not architectures or architectures[0].endswith("ForMaskedLM"):
        raise ModelError(
            f"{CONFIG} names {architectures[0] if architectures else 'no architecture'}, which may be a sparse model "
            "(SPLADE) or the base of a dense one; say which: --family sparse or --family dense"
        )
    raise ModelError(f"{CONFIG}: architecture '{architectures[0]}' is none of an embedding model that is known here")


def _dense(files: Repository, weights: dict[str, File]) -> _Found:
    st.expect_modules(files, "Transformer", "Pooling", "Normalize")
    pooling, normalize = st.pooling(files)
    dimensions = files.json(CONFIG).get("hidden_size")
    return _text(
        files, weights, {"family": "dense", "dimensions": dimensions, "pooling": pooling, "normalize": normalize}
    )


def _sparse(files: Repository, weights: dict[str, File]) -> _Found:
    st.expect_modules(files, "Transformer", "MLMTransformer", "SpladePooling")
    for module in st.modules(files):
        settings = files.json(f"{module.path}/{CONFIG}") if module.name == "SpladePooling" else {}
        for name, known in (("pooling_strategy", "max"), ("activation_function", "relu")):
            if settings.get(name, known) != known:
                raise ModelError(f"{module.path}: {name} '{settings[name]}' cannot be run here, only '{known}'")
    return _text(files, weights, {"family": "sparse"})


def _late_interaction(files: Repository, weights: dict[str, File]) -> _Found:
    fields = {"family": "late-interaction", **colbert.fields(files)}
    return _text(files, {**weights, **colbert.extra_files(files)}, fields)


def _text(files: Repository, weights: dict[str, File], fields: dict[str, Any]) -> _Found:
    files.expect_tokenizer()
    fields = {"context_window": st.window(files), "prefixes": st.prefixes(files), **fields}
    return [("", fields, {**weights, TOKENIZER: File()})]


def _clip(files: Repository, weights: dict[str, File]) -> _Found:
    files.expect_tokenizer()
    if _PREPROCESSOR not in files.paths:
        raise ModelError(f"there is no {_PREPROCESSOR}, which says how images are scaled")
    config = files.json(CONFIG)
    text = {**_CLIP, **config.get("text_config", {})}
    vision = {**_CLIP, **config.get("vision_config", {})}
    dimensions = config.get("projection_dim", _CLIP["projection_dim"])
    reads = {"family": "clip-text", "dimensions": dimensions, "context_window": text["max_position_embeddings"]}
    sees = {
        "family": "clip-vision",
        "dimensions": dimensions,
        "image_size": vision["image_size"],
        "image_limits": ImageLimits(),
    }
    return [
        ("-text", reads, {**weights, TOKENIZER: File()}),
        ("-vision", sees, {**weights, _PREPROCESSOR: File()}),
    ]
