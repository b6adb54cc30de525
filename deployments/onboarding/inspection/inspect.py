"""Reads what a model is out of the files that come with it, and writes its catalogue entry.

What the files leave open is not guessed: the caller says the family, or the model is refused with the name of what is
not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from deployments.architectures.checkpoint import Config
from deployments.architectures.known import transformer
from deployments.architectures.sides import SIGLIP
from deployments.catalogue.card import File, ImageLimits, ModelCard, Prefixes, Source
from deployments.catalogue.families import FAMILIES, Checkpoint
from deployments.catalogue.records import validated
from deployments.catalogue.word_files import STOPWORDS, TABLE, VOCABULARY
from deployments.contract import Resample
from deployments.errors import ModelError
from deployments.onboarding.inspection import colbert
from deployments.onboarding.inspection import sentence_transformers as st
from deployments.onboarding.inspection.repository import CONFIG, TENSORS, TOKENIZER, Repository

_QUERY_WEIGHTS = "idf.json"
"""The weights of a query's tokens, in models of OpenSearch."""

_LOGS_TWICE = {"relu": False, "log1p_relu": True}
"""By the names of sentence-transformers."""

_HEADS = {"sparse": "sparse_linear", "late-interaction": "colbert_linear"}
"""The files of BGE-M3's layers, by the family of the vectors that they give."""

_PREPROCESSOR = "preprocessor_config.json"
_CLIP = {"max_position_embeddings": 77, "projection_dim": 512, "image_size": 224}
"""The settings that transformers leaves out of a config.json if they are CLIP's own."""

_SIDED: Mapping[str, Checkpoint] = {"clip": "clip", "siglip": "text-image"}
"""By the model type: models of texts and images."""

_TOKENIZERS_OF_LOWERCASE = ("Gemma", "Siglip2")
"""How the names of the classes begin with which SigLIP 2 reads texts; it was trained on lower case."""

_RESAMPLING: Mapping[int, Resample] = {2: "bilinear", 3: "bicubic"}
"""By the numbers of Pillow."""

Weights = Mapping[str, File]
MakeSource = Callable[[Mapping[str, File]], Source]


def inspect(
    files: Repository, name: str, card_url: str, source: MakeSource, kind: Checkpoint | None
) -> Sequence[ModelCard]:
    """The catalogue's records of the model, or of the two models of a CLIP.

    Args:
        files: the model's files.
        name: what the model shall be called; the models of a CLIP are `<name>-text` and `<name>-vision`.
        card_url: where one can read about it.
        source: makes the source of some of the files.
        kind: what the checkpoint is; None to see it from its files.

    Raises:
        ModelError: names what is unknown, missing, or ambiguous.
        ModelFilesError: a file is damaged.
    """
    if CONFIG not in files.paths:
        raise ModelError(f"there is no {CONFIG}: this is no checkpoint of a model")
    common = {"name": name, "licence": files.licence(), "model_card_url": card_url}
    weights = {**files.weights(), CONFIG: File()}
    found = DESCRIBE[kind or _kind(files)](files, weights)
    return [
        validated(
            ModelCard,
            {
                **common,
                **model.fields,
                "name": name + FAMILIES[model.family].suffix,
                "family": model.family,
                "sources": [source(model.files)],
            },
            name,
        )
        for model in found
    ]


class _Found(NamedTuple):
    """A model of a checkpoint: its family, the catalogue's other fields, and the files that it needs."""

    family: str
    fields: Mapping[str, Any]
    files: Mapping[str, File]


def _kind(files: Repository) -> Checkpoint:
    if TABLE in files.paths or STOPWORDS in files.paths:
        return "minicoil" if TABLE in files.paths else "bm42"
    config = files.json(CONFIG)
    architectures = [str(name) for name in config.get("architectures") or ()]
    modules = [module.name for module in st.modules(files)]
    if config.get("model_type") in _SIDED:
        return _SIDED[config["model_type"]]
    if colbert.METADATA in files.paths or "HF_ColBERT" in architectures or modules[:2] == ["Transformer", "Dense"]:
        return "late-interaction"
    if architectures and architectures[0].endswith("ForSequenceClassification"):
        return "cross-encoder"
    if "SpladePooling" in modules or _QUERY_WEIGHTS in files.paths:
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
    raise ModelError(f"{CONFIG}: architecture '{architectures[0]}' is none of a model that is known here")


def _dense(files: Repository, weights: Weights) -> Sequence[_Found]:
    st.expect_modules(files, "Transformer", "Pooling", "Dense", "Normalize")
    pooling, normalize = st.pooling(files)
    projections = st.projections(files)
    fields: dict[str, Any] = {
        "dimensions": [_hidden(files), *projections.values()][-1],
        "pooling": pooling,
        "projections": list(projections),
        "matryoshka": st.matryoshka(files),
        "normalize": normalize,
    }
    fields["heads"] = [{"family": family, "weights": path} for family, path in _heads(files)]
    fields |= _adapters(files)
    if told := st.instruction(files):
        fields |= {"instruction": told, "prefixes": Prefixes(passage=st.prefixes(files).passage)}
    beside = {head["weights"]: File() for head in fields["heads"]}
    return _text("dense", files, {**weights, **_beside(projections), **beside}, fields)


def _adapters(files: Repository) -> Mapping[str, Any]:
    """What a ready file is told of its adapters, and what Jina's embeddings v3 says to put before texts for them."""
    names = files.json(CONFIG).get("lora_adaptations") or []
    wanted = {"query": "retrieval.query", "passage": "retrieval.passage"}
    if files.not_built() is None or not {*wanted.values()}.issubset(names):
        return {}
    told = files.json(CONFIG).get("task_instructions") or {}
    prefixes = {way: told.get(name, "") for way, name in wanted.items()}
    return {"task_ids": {way: names.index(name) for way, name in wanted.items()}, "prefixes": Prefixes(**prefixes)}


def _heads(files: Repository) -> Sequence[tuple[str, str]]:
    """The families of the other vectors that the network gives, and the files of their layers."""
    possible = {family: [f"{stem}.{ending}" for ending in ("safetensors", "pt")] for family, stem in _HEADS.items()}
    found = {family: next((path for path in paths if path in files.paths), "") for family, paths in possible.items()}
    return [(family, path) for family, path in found.items() if path]


def _beside(projections: Iterable[str]) -> Weights:
    return {f"{folder}/{name}": File() for folder in projections for name in (TENSORS, CONFIG)}


def _hidden(files: Repository) -> int | None:
    """The size of a hidden state."""
    if files.not_built() is None:
        return transformer(Config(files.folder)).hidden
    hidden: int | None = files.json(CONFIG).get("hidden_size")
    return hidden


def _sparse(files: Repository, weights: Weights) -> Sequence[_Found]:
    st.expect_modules(files, "Transformer", "MLMTransformer", "SpladePooling", "Router")
    log_twice = _logs_twice(files)
    if _QUERY_WEIGHTS not in files.paths:
        if any(module.name == "Router" for module in st.modules(files)):
            raise ModelError(f"modules.json: a 'Router' without {_QUERY_WEIGHTS} cannot be run here")
        return _text("sparse", files, weights, {"log_twice": log_twice})
    fields = {"query_weights": _QUERY_WEIGHTS, "log_twice": log_twice}
    return _text("sparse", files, {**weights, _QUERY_WEIGHTS: File()}, fields)


def _logs_twice(files: Repository) -> bool:
    """Whether SpladePooling, wherever it stands, takes the logarithm of the logarithm.

    Raises:
        ModelError: it pools in another way than by the maximum, or has another activation.
    """
    twice = False
    for path in sorted(path for path in files.paths if path.endswith(f"SpladePooling/{CONFIG}")):
        settings = files.json(path)
        for name, known in (("pooling_strategy", ("max",)), ("activation_function", tuple(_LOGS_TWICE))):
            if settings.get(name, known[0]) not in known:
                raise ModelError(f"{path}: {name} '{settings[name]}' cannot be run here, only '{known[0]}'")
        twice = _LOGS_TWICE[settings.get("activation_function", "relu")]
    return twice


def _bm42(files: Repository, weights: Weights) -> Sequence[_Found]:
    """Of a ready file, the attention of the last layer counts, by the name that exporters give it."""
    is_ready = "model.onnx" in weights
    fields = {"output": f"attention_{files.json(CONFIG).get('num_hidden_layers')}"} if is_ready else {}
    return _of_words("bm42", files, weights, (STOPWORDS,), fields)


def _minicoil(files: Repository, weights: Weights) -> Sequence[_Found]:
    return _of_words("minicoil", files, weights, (STOPWORDS, TABLE, VOCABULARY), {})


def _of_words(
    family: str, files: Repository, weights: Weights, beside: Sequence[str], fields: Mapping[str, Any]
) -> Sequence[_Found]:
    """A window is told by two names; fastembed takes the shorter one."""
    for name in beside:
        if name not in files.paths:
            raise ModelError(f"there is no {name}, which a {family} model needs")
    told = files.json("tokenizer_config.json").get("max_length") or st.window(files)
    fields = {"context_window": min(told, st.window(files)), "prefixes": Prefixes(), **fields}
    return _text(family, files, {**weights, **{name: File() for name in beside}}, fields)


def _late_interaction(files: Repository, weights: Weights) -> Sequence[_Found]:
    fields = colbert.fields(files)
    return _text("late-interaction", files, {**weights, **_beside(fields.get("projections", ()))}, fields)


def _cross_encoder(files: Repository, weights: Weights) -> Sequence[_Found]:
    st.expect_modules(files, "Transformer")
    labels = files.json(CONFIG).get("id2label", {})
    if len(labels) > 1:
        raise ModelError(f"{CONFIG}: a model with {len(labels)} labels is no reranker, which has one")
    return _text("cross-encoder", files, weights, {})


def _text(family: str, files: Repository, weights: Weights, fields: Mapping[str, Any]) -> Sequence[_Found]:
    files.expect_tokenizer()
    fields = {"context_window": st.window(files), "prefixes": st.prefixes(files), **fields}
    return [_Found(family, fields, {**weights, TOKENIZER: File()})]


def _clip(files: Repository, weights: Weights) -> Sequence[_Found]:
    files.expect_tokenizer()
    _preprocessor(files)
    config = files.json(CONFIG)
    text = {**_CLIP, **config.get("text_config", {})}
    vision = {**_CLIP, **config.get("vision_config", {})}
    dimensions = config.get("projection_dim", _CLIP["projection_dim"])
    reads = {"dimensions": dimensions, "context_window": text["max_position_embeddings"]}
    sees = {"dimensions": dimensions, "image_size": vision["image_size"], "image_limits": ImageLimits()}
    return [
        _Found("clip-text", reads, {**weights, TOKENIZER: File()}),
        _Found("clip-vision", sees, {**weights, _PREPROCESSOR: File()}),
    ]


def _text_image(files: Repository, weights: Weights) -> Sequence[_Found]:
    files.expect_tokenizer()
    config, pictures = files.json(CONFIG), _preprocessor(files)
    if config.get("model_type") not in _SIDED:
        raise ModelError(f"{CONFIG}: '{config.get('model_type')}' is no model of texts and images that is known here")
    clip = config["model_type"] == "clip"
    defaults = _CLIP if clip else SIGLIP
    text, vision = ({**defaults, **config.get(f"{side}_config", {})} for side in ("text", "vision"))
    fields = {
        "dimensions": config.get("projection_dim", _CLIP["projection_dim"]) if clip else vision["hidden_size"],
        "context_window": text["max_position_embeddings"],
        "image_size": vision["image_size"],
        "image_limits": ImageLimits(),
        **({} if clip else _of_siglip(files, pictures)),
    }
    return [_Found("text-image", fields, {**weights, TOKENIZER: File(), _PREPROCESSOR: File()})]


def _of_siglip(files: Repository, pictures: Mapping[str, Any]) -> Mapping[str, Any]:
    """How texts are filled up, and pictures made square."""
    settings = files.json("tokenizer_config.json")
    padding = settings.get("pad_token") or "</s>"
    number = pictures.get("resample", 3)
    if number not in _RESAMPLING:
        raise ModelError(f"{_PREPROCESSOR}: resample {number} cannot be run here, only {sorted(_RESAMPLING)}")
    return {
        "filled_with": files.token(padding["content"] if isinstance(padding, dict) else padding),
        "lowercase": str(settings.get("tokenizer_class")).startswith(_TOKENIZERS_OF_LOWERCASE),
        "image_shape": {"fit": "stretch", "resample": _RESAMPLING[number]},
    }


def _preprocessor(files: Repository) -> Mapping[str, Any]:
    if _PREPROCESSOR not in files.paths:
        raise ModelError(f"there is no {_PREPROCESSOR}, which says how images are scaled")
    return files.json(_PREPROCESSOR)


DESCRIBE: Mapping[Checkpoint, Callable[[Repository, Weights], Sequence[_Found]]] = {
    "dense": _dense,
    "sparse": _sparse,
    "late-interaction": _late_interaction,
    "clip": _clip,
    "text-image": _text_image,
    "cross-encoder": _cross_encoder,
    "bm42": _bm42,
    "minicoil": _minicoil,
}
"""By what a checkpoint is: how its models are described."""
