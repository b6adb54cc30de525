"""Checkpoints of a few hundred kilobytes with random weights, and tokenizers to go with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from deployments.catalogue.card import ModelCard

HIDDEN, LAYERS, HEADS, WORDS, POSITIONS = 16, 2, 4, 50, 64
IMAGE, PATCH, PROJECTION = 16, 8, 12
Tensors = dict[str, np.ndarray]
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_WORDS = ("the", "is", "of", "and", "capital", "vector", "vectors", "are", "text", "##ing", "##er", "巴", "黎")


class Weights:
    """Random weights, always the same."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(7)

    def weight(self, *shape: int) -> np.ndarray:
        return (self._random.standard_normal(shape) * 0.3).astype(np.float32)

    def linear(self, name: str, outputs: int, inputs: int) -> Tensors:
        return {f"{name}.weight": self.weight(outputs, inputs), f"{name}.bias": self.weight(outputs)}

    def norm(self, name: str, size: int = HIDDEN) -> Tensors:
        return {f"{name}.weight": 1 + self.weight(size), f"{name}.bias": self.weight(size)}


def bert_tensors(words: int = WORDS, positions: int = POSITIONS, segments: int = 2) -> Tensors:
    """A BERT's tensors by their canonical names."""
    random = Weights()
    tensors = {
        "embeddings.word_embeddings.weight": random.weight(words, HIDDEN),
        "embeddings.position_embeddings.weight": random.weight(positions, HIDDEN),
        "embeddings.token_type_embeddings.weight": random.weight(segments, HIDDEN),
        **random.norm("embeddings.LayerNorm"),
    }
    for layer in (f"encoder.layer.{number}" for number in range(LAYERS)):
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            tensors |= random.linear(f"{layer}.attention.{name}", HIDDEN, HIDDEN)
        tensors |= random.linear(f"{layer}.intermediate.dense", 4 * HIDDEN, HIDDEN)
        tensors |= random.linear(f"{layer}.output.dense", HIDDEN, 4 * HIDDEN)
        tensors |= random.norm(f"{layer}.attention.output.LayerNorm")
        tensors |= random.norm(f"{layer}.output.LayerNorm")
    return tensors


def masked_language_head(words: int = WORDS) -> Tensors:
    """BERT's head for masked tokens, its output layer being the table of input words."""
    random, head = Weights(), "cls.predictions"
    return {
        **random.linear(f"{head}.transform.dense", HIDDEN, HIDDEN),
        **random.norm(f"{head}.transform.LayerNorm"),
        f"{head}.bias": random.weight(words),
    }


def roberta_head(words: int) -> Tensors:
    """RoBERTa's head for masked tokens."""
    random = Weights()
    return {
        **random.linear("lm_head.dense", HIDDEN, HIDDEN),
        **random.norm("lm_head.layer_norm"),
        "lm_head.bias": random.weight(words),
    }


def clip_tensors(words: int = WORDS) -> Tensors:
    """A CLIP's tensors."""
    random, text, vision = Weights(), "text_model.embeddings", "vision_model.embeddings"
    tensors = {
        f"{text}.token_embedding.weight": random.weight(words, HIDDEN),
        f"{text}.position_embedding.weight": random.weight(POSITIONS, HIDDEN),
        f"{vision}.class_embedding": random.weight(HIDDEN),
        f"{vision}.patch_embedding.weight": random.weight(HIDDEN, 3, PATCH, PATCH),
        f"{vision}.position_embedding.weight": random.weight((IMAGE // PATCH) ** 2 + 1, HIDDEN),
        "text_projection.weight": random.weight(PROJECTION, HIDDEN),
        "visual_projection.weight": random.weight(PROJECTION, HIDDEN),
        "logit_scale": np.array(1, np.float32),
    }
    for name in ("text_model.final_layer_norm", "vision_model.pre_layrnorm", "vision_model.post_layernorm"):
        tensors |= random.norm(name)
    return tensors | _sides(random)


def siglip_tensors(words: int = WORDS) -> Tensors:
    """A SigLIP's tensors."""
    random, text, vision, head = Weights(), "text_model.embeddings", "vision_model.embeddings", "vision_model.head"
    tensors = {
        f"{text}.token_embedding.weight": random.weight(words, HIDDEN),
        f"{text}.position_embedding.weight": random.weight(POSITIONS, HIDDEN),
        f"{vision}.patch_embedding.weight": random.weight(HIDDEN, 3, PATCH, PATCH),
        f"{vision}.patch_embedding.bias": random.weight(HIDDEN),
        f"{vision}.position_embedding.weight": random.weight((IMAGE // PATCH) ** 2, HIDDEN),
        **random.linear("text_model.head", HIDDEN, HIDDEN),
        f"{head}.probe": random.weight(1, 1, HIDDEN),
        f"{head}.attention.in_proj_weight": random.weight(3 * HIDDEN, HIDDEN),
        f"{head}.attention.in_proj_bias": random.weight(3 * HIDDEN),
        **random.linear(f"{head}.attention.out_proj", HIDDEN, HIDDEN),
        **random.norm(f"{head}.layernorm"),
        **random.linear(f"{head}.mlp.fc1", 4 * HIDDEN, HIDDEN),
        **random.linear(f"{head}.mlp.fc2", HIDDEN, 4 * HIDDEN),
        "logit_scale": np.array([1], np.float32),
        "logit_bias": np.array([1], np.float32),
    }
    return (
        tensors
        | random.norm("text_model.final_layer_norm")
        | random.norm("vision_model.post_layernorm")
        | _sides(random)
    )


def _sides(random: Weights) -> Tensors:
    """The layers of both sides of a CLIP or a SigLIP."""
    tensors: Tensors = {}
    for layer in (f"{side}_model.encoder.layers.{number}" for side in ("text", "vision") for number in range(LAYERS)):
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            tensors |= random.linear(f"{layer}.self_attn.{name}", HIDDEN, HIDDEN)
        tensors |= random.linear(f"{layer}.mlp.fc1", 4 * HIDDEN, HIDDEN)
        tensors |= random.linear(f"{layer}.mlp.fc2", HIDDEN, 4 * HIDDEN)
        tensors |= random.norm(f"{layer}.layer_norm1") | random.norm(f"{layer}.layer_norm2")
    return tensors


def bert_config(**changes: Any) -> dict[str, Any]:
    """The configuration of a BERT with these tensors; a change to None takes a key away."""
    plain = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": HIDDEN,
        "intermediate_size": 4 * HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2,
        "vocab_size": WORDS,
    }
    return {name: value for name, value in (plain | changes).items() if value is not None}


def clip_config(activation: str, words: int = WORDS, **text: Any) -> dict[str, Any]:
    """The configuration of a CLIP with these tensors; `text` are changes to its text side."""
    side = {
        "hidden_act": activation,
        "hidden_size": HIDDEN,
        "intermediate_size": 4 * HIDDEN,
        "layer_norm_eps": 1e-5,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "projection_dim": PROJECTION,
    }
    return {
        "model_type": "clip",
        "projection_dim": PROJECTION,
        "text_config": {**side, "max_position_embeddings": POSITIONS, "vocab_size": words, **text},
        "vision_config": {**side, "image_size": IMAGE, "patch_size": PATCH, "num_channels": 3},
    }


def siglip_config(words: int = WORDS) -> dict[str, Any]:
    """The configuration of a SigLIP with these tensors; what is not said is transformers' default."""
    side = {
        "hidden_size": HIDDEN,
        "intermediate_size": 4 * HIDDEN,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
    }
    return {
        "model_type": "siglip",
        "text_config": {**side, "vocab_size": words, "max_position_embeddings": POSITIONS},
        "vision_config": {**side, "image_size": IMAGE, "patch_size": PATCH},
    }


def write(folder: Path, tensors: Tensors, **config: Any) -> Path:
    """Write a checkpoint; `config` goes over that of a BERT with the tensors from here, None takes a key away."""
    return write_as(folder, tensors, bert_config(**config))


def write_as(folder: Path, tensors: Tensors, config: dict[str, Any]) -> Path:
    """Write a checkpoint."""
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def word_pieces(signs: str = "") -> Tokenizer:
    """BERT's kind of tokenizer; the ids 1 and 2 are free to mark queries and documents. `signs` can stand in words."""
    tokens = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens += [*_WORDS, *_LETTERS, *(f"##{letter}" for letter in _LETTERS), *"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"]
    tokens += [*signs, *(f"##{sign}" for sign in signs)]
    tokenizer = Tokenizer(models.WordPiece({token: number for number, token in enumerate(tokens)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return _finished(tokenizer, "[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]")


def unigrams() -> Tokenizer:
    """XLM-R's kind of tokenizer, after SentencePiece; padding has the id 1."""
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0)]
    pieces += [(f"▁{word}", -4.0) for word in _WORDS if word.isalpha()]
    pieces += [(letter, -6.0) for letter in (*_LETTERS, *"巴黎.,?!éç")] + [("<mask>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    split = [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(split)
    return _finished(tokenizer, "<s>", "</s>", "<pad>", "<mask>", "<unk>")


def byte_pairs(start: str = "<s>", end: str = "</s>") -> Tokenizer:
    """RoBERTa's kind of tokenizer, and CLIP's; padding has the id 1, and the end of a text the highest."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("i", "s"), ("a", "n"), ("an", "d"), ("e", "r")]
    tokens = [start, "<pad>", *alphabet, *("".join(pair) for pair in merges), "<mask>", end]
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return _finished(tokenizer, start, end, "<pad>", "<mask>")


def _finished(tokenizer: Tokenizer, start: str, end: str, *others: str) -> Tokenizer:
    """A pair is one of segments in BERT's kind, and none in the others, which put two ends between its parts."""
    tokenizer.add_special_tokens([start, end, *others])
    ids = [(token, tokenizer.token_to_id(token)) for token in (start, end)]
    pair = f"{start} $A {end} $B:1 {end}:1" if start == "[CLS]" else f"{start} $A {end} {end} $B {end}"
    tokenizer.post_processor = processors.TemplateProcessing(f"{start} $A {end}", pair, special_tokens=ids)
    return tokenizer


def card(**changes: Any) -> ModelCard:
    fields = {
        "name": "tiny",
        "family": "dense",
        "dimensions": HIDDEN,
        "context_window": POSITIONS,
        "pooling": "mean",
        "licence": "none",
        "model_card_url": "none",
        "sources": [{"folder": ".", "files": {"config.json": {}}}],
    }
    return ModelCard.model_validate(fields | changes)
