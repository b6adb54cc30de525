"""Models of real sizes with random weights: what they compute means nothing, but it takes as long."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors.numpy import save_file

from benchmarks.gpu import texts
from benchmarks.gpu.texts import VOCABULARY
from deployments.catalogue.card import ModelCard
from deployments.catalogue.catalogue import HOME

_SPREAD = 0.02  # of BERT's initial weights
_RARE = 3.6 * _SPREAD
"""Taken off the scores of words, so that few of them are above zero, as in a trained SPLADE."""

_WINDOW, _IMAGE, _COLBERT = 512, 224, 96
STARTER = HOME / "configs" / "models" / "starter.yaml"
CLIP_VISION = "random/clip-vit-b-32-vision"


@dataclass(frozen=True)
class Bert:
    """The sizes of a text model; the wide layers are four times as wide."""

    hidden: int
    layers: int
    family: Literal["dense", "sparse", "late-interaction"] = "dense"

    @property
    def heads(self) -> int:
        """Of 64 dimensions each, or 32 in the small models."""
        return 12 if self.hidden <= 768 else 16

    def flops(self, tokens: int) -> float:
        """Floating point operations for each token of a text of so many: two for each weight, and attention."""
        head = 2.0 * self.hidden * VOCABULARY if self.family == "sparse" else 0.0
        return self.layers * (24.0 * self.hidden**2 + 4.0 * tokens * self.hidden) + head


@dataclass(frozen=True)
class Vit:
    """The sizes of CLIP's image side."""

    hidden: int
    layers: int
    patch: int
    dimensions: int

    @property
    def tokens(self) -> int:
        """Of an image: its patches and one for all of it."""
        return (_IMAGE // self.patch) ** 2 + 1

    def flops(self) -> float:
        """Floating point operations for an image."""
        layers = self.layers * (24.0 * self.hidden**2 + 4.0 * self.tokens * self.hidden)
        return self.tokens * (layers + 6.0 * self.patch**2 * self.hidden)


BERTS = {"random/minilm-l6": Bert(384, 6), "random/bge-base": Bert(768, 12), "random/mxbai-large": Bert(1024, 24)}
OTHERS = {"random/splade": Bert(768, 12, "sparse"), "random/colbert-small": Bert(384, 12, "late-interaction")}
CLIPS = {CLIP_VISION: Vit(768, 12, 32, 512), "random/clip-vit-l-14-vision": Vit(1024, 24, 14, 768)}


def write_catalogue(folder: Path, models: dict[str, Path]) -> Path:
    """A catalogue of these models, by their folders, beside the starter models."""
    entries = [_entry(name, path) for name, path in models.items()]
    path = folder / "models.yaml"
    path.write_text(json.dumps({"include": [str(STARTER)], "models": entries}))  # JSON is YAML
    return path


def card(name: str, path: Path, size: Bert | Vit | None = None) -> ModelCard:
    """The catalogue's entry of one model; of another `size` than its name says."""
    return ModelCard.model_validate(_entry(name, path, size))


def _entry(name: str, path: Path, size: Bert | Vit | None = None) -> dict[str, Any]:
    size = size or (BERTS | OTHERS | CLIPS)[name]
    files: dict[str, Any] = {file.name: {} for file in sorted(path.iterdir())}
    entry = {
        "name": name,
        "licence": "none",
        "model_card_url": "none",
        "sources": [{"folder": str(path), "files": files}],
    }
    if isinstance(size, Vit):
        limits = {"family": "clip-vision", "image_size": _IMAGE, "image_limits": {}}
        return {**entry, **limits, "dimensions": size.dimensions}
    kinds: dict[str, dict[str, Any]] = {
        "dense": {"pooling": "mean", "dimensions": size.hidden},
        "sparse": {},
        "late-interaction": {"dimensions": _COLBERT, "markers": texts.MARKERS},
    }
    return {**entry, "family": size.family, "context_window": _WINDOW, **kinds[size.family]}


def write_bert(folder: Path, size: Bert) -> Path:
    """Write a BERT of this size, with a tokenizer of random words."""
    folder.mkdir(parents=True)
    texts.write_tokenizer(folder)
    hidden, weights = size.hidden, _Weights()
    weights.table("embeddings.word_embeddings", VOCABULARY, hidden)
    weights.table("embeddings.position_embeddings", _WINDOW, hidden)
    weights.table("embeddings.token_type_embeddings", 2, hidden)
    weights.norm("embeddings.LayerNorm", hidden)
    for layer in (f"encoder.layer.{number}" for number in range(size.layers)):
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            weights.linear(f"{layer}.attention.{name}", hidden, hidden)
        weights.linear(f"{layer}.intermediate.dense", 4 * hidden, hidden)
        weights.linear(f"{layer}.output.dense", hidden, 4 * hidden)
        weights.norm(f"{layer}.attention.output.LayerNorm", hidden)
        weights.norm(f"{layer}.output.LayerNorm", hidden)
    if size.family == "sparse":
        weights.linear("cls.predictions.transform.dense", hidden, hidden)
        weights.norm("cls.predictions.transform.LayerNorm", hidden)
        weights.tensors["cls.predictions.bias"] = weights.random(VOCABULARY) - _RARE * hidden**0.5
    if size.family == "late-interaction":
        weights.table("linear", _COLBERT, hidden)
    config = {"model_type": "bert", "hidden_act": "gelu", "layer_norm_eps": 1e-12, "type_vocab_size": 2}
    config |= {"hidden_size": hidden, "intermediate_size": 4 * hidden, "num_attention_heads": size.heads}
    config |= {"num_hidden_layers": size.layers, "max_position_embeddings": _WINDOW, "vocab_size": VOCABULARY}
    return weights.save(folder, config)


def write_clip_vision(folder: Path, size: Vit = CLIPS[CLIP_VISION]) -> Path:
    """Write the image side of a CLIP."""
    hidden, patch = size.hidden, size.patch
    folder.mkdir(parents=True)
    preprocessor = json.loads((HOME / "configs/models/clip-shapes/preprocessor_config.json").read_text())
    preprocessor |= {"crop_size": {"height": _IMAGE, "width": _IMAGE}, "size": {"shortest_edge": _IMAGE}}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    weights, side = _Weights(), "vision_model"
    weights.tensors[f"{side}.embeddings.class_embedding"] = weights.random(hidden)
    weights.tensors[f"{side}.embeddings.patch_embedding.weight"] = weights.random(hidden, 3, patch, patch)
    weights.table(f"{side}.embeddings.position_embedding", (_IMAGE // patch) ** 2 + 1, hidden)
    weights.table("visual_projection", size.dimensions, hidden)
    for name in ("pre_layrnorm", "post_layernorm"):
        weights.norm(f"{side}.{name}", hidden)
    for layer in (f"{side}.encoder.layers.{number}" for number in range(size.layers)):
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            weights.linear(f"{layer}.self_attn.{name}", hidden, hidden)
        weights.linear(f"{layer}.mlp.fc1", 4 * hidden, hidden)
        weights.linear(f"{layer}.mlp.fc2", hidden, 4 * hidden)
        weights.norm(f"{layer}.layer_norm1", hidden)
        weights.norm(f"{layer}.layer_norm2", hidden)
    vision = {"hidden_act": "quick_gelu", "hidden_size": hidden, "intermediate_size": 4 * hidden, "patch_size": patch}
    vision |= {"layer_norm_eps": 1e-5, "num_attention_heads": hidden // 64, "num_hidden_layers": size.layers}
    vision |= {"image_size": _IMAGE, "projection_dim": size.dimensions, "num_channels": 3}
    return weights.save(folder, {"model_type": "clip", "projection_dim": size.dimensions, "vision_config": vision})


class _Weights:
    """A checkpoint's tensors."""

    def __init__(self) -> None:
        self._generator = np.random.default_rng(0)
        self.tensors: dict[str, np.ndarray[Any, Any]] = {}

    def random(self, *shape: int) -> np.ndarray[Any, Any]:
        return self._generator.standard_normal(shape, np.float32) * np.float32(_SPREAD)

    def table(self, name: str, rows: int, columns: int) -> None:
        self.tensors[f"{name}.weight"] = self.random(rows, columns)

    def linear(self, name: str, outputs: int, inputs: int) -> None:
        self.table(name, outputs, inputs)
        self.tensors[f"{name}.bias"] = self.random(outputs)

    def norm(self, name: str, size: int) -> None:
        self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"] = np.ones(size, np.float32), self.random(size)

    def save(self, folder: Path, config: dict[str, Any]) -> Path:
        (folder / "config.json").write_text(json.dumps(config))
        save_file(self.tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return folder
