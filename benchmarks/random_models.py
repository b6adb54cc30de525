"""Models of real sizes with random weights: what they compute means nothing, but it takes as long."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from benchmarks import baseline
from deployments.catalogue import catalogue
from deployments.catalogue.card import ModelCard
from deployments.catalogue.catalogue import HOME
from deployments.files.store import ModelStore, cache_folder

_SPREAD = 0.02  # of BERT's initial weights
CLIP_VISION = "random/clip-vit-b-32-vision"


@dataclass(frozen=True)
class Bert:
    """The sizes of a text model; the wide layers are four times as wide."""

    hidden: int
    layers: int

    @property
    def heads(self) -> int:
        """Of 64 dimensions each, or 32 in the small models."""
        return 12 if self.hidden <= 768 else 16

    def flops(self, tokens: int) -> float:
        """Floating point operations for each token of a text of so many: two for each weight, and attention."""
        return self.layers * (24.0 * self.hidden**2 + 4.0 * tokens * self.hidden)


BERTS = {"random/minilm-l6": Bert(384, 6), "random/bge-base": Bert(768, 12), "random/mxbai-large": Bert(1024, 24)}


def write_catalogue(folder: Path, models: dict[str, Path]) -> Path:
    """A catalogue of these models, by their folders, beside the starter models."""
    entries = [_entry(name, path) for name, path in models.items()]
    path = folder / "models.yaml"
    path.write_text(json.dumps({"include": [str(baseline.STARTER)], "models": entries}))  # JSON is YAML
    return path


def card(name: str, path: Path) -> ModelCard:
    """The catalogue's entry of one model."""
    return ModelCard.model_validate(_entry(name, path))


def _entry(name: str, path: Path) -> dict[str, Any]:
    files: dict[str, Any] = {file.name: {} for file in sorted(path.iterdir())}
    entry = {
        "name": name,
        "licence": "none",
        "model_card_url": "none",
        "sources": [{"folder": str(path), "files": files}],
    }
    if name == CLIP_VISION:
        return {**entry, "family": "clip-vision", "dimensions": 512, "image_size": 224, "image_limits": {}}
    return {**entry, "family": "dense", "pooling": "mean", "dimensions": BERTS[name].hidden, "context_window": 512}


def write_bert(folder: Path, size: Bert) -> Path:
    """Write a BERT of this size, with the tokenizer of all-MiniLM-L6-v2."""
    real = ModelStore(cache_folder()).pull(catalogue.load(baseline.STARTER).find(baseline.MINILM, "benchmark"))
    assert real is not None
    folder.mkdir(parents=True)
    shutil.copy(real / "tokenizer.json", folder)
    config = json.loads((real / "config.json").read_text())
    shape = {"hidden_size": size.hidden, "intermediate_size": 4 * size.hidden, "num_attention_heads": size.heads}
    config |= shape | {"num_hidden_layers": size.layers, "max_position_embeddings": 512}
    weights = _Weights()
    weights.table("embeddings.word_embeddings", config["vocab_size"], size.hidden)
    weights.table("embeddings.position_embeddings", 512, size.hidden)
    weights.table("embeddings.token_type_embeddings", 2, size.hidden)
    weights.norm("embeddings.LayerNorm", size.hidden)
    for layer in (f"encoder.layer.{number}" for number in range(size.layers)):
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            weights.linear(f"{layer}.attention.{name}", size.hidden, size.hidden)
        weights.linear(f"{layer}.intermediate.dense", 4 * size.hidden, size.hidden)
        weights.linear(f"{layer}.output.dense", size.hidden, 4 * size.hidden)
        weights.norm(f"{layer}.attention.output.LayerNorm", size.hidden)
        weights.norm(f"{layer}.output.LayerNorm", size.hidden)
    return weights.save(folder, config)


def write_clip_vision(folder: Path) -> Path:
    """Write the image side of CLIP ViT-B/32."""
    hidden, patch, image = 768, 32, 224
    folder.mkdir(parents=True)
    preprocessor = json.loads((HOME / "configs/models/clip-shapes/preprocessor_config.json").read_text())
    preprocessor |= {"crop_size": {"height": image, "width": image}, "size": {"shortest_edge": image}}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    weights, side = _Weights(), "vision_model"
    weights.tensors[f"{side}.embeddings.class_embedding"] = weights.random(hidden)
    weights.tensors[f"{side}.embeddings.patch_embedding.weight"] = weights.random(hidden, 3, patch, patch)
    weights.table(f"{side}.embeddings.position_embedding", (image // patch) ** 2 + 1, hidden)
    weights.table("visual_projection", 512, hidden)
    for name in ("pre_layrnorm", "post_layernorm"):
        weights.norm(f"{side}.{name}", hidden)
    for layer in (f"{side}.encoder.layers.{number}" for number in range(12)):
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            weights.linear(f"{layer}.self_attn.{name}", hidden, hidden)
        weights.linear(f"{layer}.mlp.fc1", 4 * hidden, hidden)
        weights.linear(f"{layer}.mlp.fc2", hidden, 4 * hidden)
        weights.norm(f"{layer}.layer_norm1", hidden)
        weights.norm(f"{layer}.layer_norm2", hidden)
    vision = {"hidden_act": "quick_gelu", "hidden_size": hidden, "intermediate_size": 4 * hidden, "patch_size": patch}
    vision |= {"layer_norm_eps": 1e-5, "num_attention_heads": 12, "num_hidden_layers": 12, "num_channels": 3}
    vision |= {"image_size": image, "projection_dim": 512}
    return weights.save(folder, {"model_type": "clip", "projection_dim": 512, "vision_config": vision})


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
