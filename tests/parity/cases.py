"""The models that are compared with other software: the starter models, and one small random model a layout."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from deployments.catalogue import catalogue
from deployments.catalogue.card import ModelCard
from deployments.catalogue.catalogue import HOME
from deployments.contract import Direction, Reads
from deployments.files.store import ModelStore, cache_folder
from deployments.kinds import VectorKind
from tests.parity.inputs import CAPTIONS, PAIRS, TEXTS, WORDS, images
from tests.support import architectures, rerankers, tiny, torch_zip, word_models

Write = Callable[[Path], Path]
"""Writes a model's files into a folder."""


@dataclass(frozen=True)
class Case:
    """One model, and the direction in which it embeds."""

    card: ModelCard
    write: Write | None = None
    direction: Direction = "update"
    libraries: Sequence[str] = ("transformers", "fastembed")
    reads: Reads | None = None
    kind: VectorKind | None = None

    @property
    def name(self) -> str:
        """The model's name; some have several results."""
        if which := self.reads or self.kind:
            return f"{self.card.name} ({which})"
        has_both = self.card.markers or self.is_of_words
        return f"{self.card.name} ({self.direction})" if has_both else self.card.name

    @property
    def is_of_words(self) -> bool:
        """Whether entries stand for words, and have numbers up to 2^31."""
        return self.card.family in {"bm42", "minicoil"}

    @property
    def inputs(self) -> Sequence[Any]:
        if (self.reads or self.card.modality) == "image":
            return list(images(int(self.card.image_size or 0)))
        if self.card.family == "cross-encoder":
            return PAIRS
        if self.is_of_words:
            return WORDS
        return CAPTIONS if self.card.family in {"clip-text", "text-image"} else TEXTS

    def folder(self, scratch: Path) -> Path:
        """The folder with the model's files; a random model's are made in an empty one."""
        if self.write is None:
            return ModelStore(cache_folder()).pull(self.card) or scratch
        scratch.mkdir(parents=True)
        return self.write(scratch)


def _card(name: str, family: str, **fields: Any) -> ModelCard:
    plain = {
        "name": f"random/{name}",
        "family": family,
        "dimensions": tiny.HIDDEN,
        "licence": "none",
        "model_card_url": "none",
    }
    sources = [{"folder": ".", "files": {"config.json": {}}}]
    return ModelCard.model_validate({**plain, "sources": sources, "context_window": tiny.POSITIONS, **fields})


def _bert(folder: Path, *, prefix: str = "", extra: tiny.Tensors | None = None, **config: Any) -> Path:
    tokenizer = tiny.word_pieces()
    words = tokenizer.get_vocab_size()
    tensors = {f"{prefix}{name}": tensor for name, tensor in tiny.bert_tensors(words).items()} | (extra or {})
    return _written(folder, tokenizer, tensors, tiny.bert_config(vocab_size=words, pad_token_id=0, **config))


def _of_architecture(folder: Path, make: Callable[[int], architectures.Made]) -> Path:
    tokenizer = tiny.word_pieces()
    return _written(folder, tokenizer, *make(tokenizer.get_vocab_size()))


def _splade(folder: Path) -> Path:
    """As old checkpoints are, with names of that time."""
    tokenizer = tiny.word_pieces()
    words = tokenizer.get_vocab_size()
    bert = {f"bert.{name}": tensor for name, tensor in tiny.bert_tensors(words).items()}
    tensors = {_old(name): tensor for name, tensor in (bert | tiny.masked_language_head(words)).items()}
    return _written(folder, tokenizer, tensors, tiny.bert_config(vocab_size=words, pad_token_id=0))


def _old(name: str) -> str:
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


def _roberta(
    folder: Path, *, tokenizer: Tokenizer, model_type: str, prefix: str = "", head: Callable[[], tiny.Tensors] = dict
) -> Path:
    words = tokenizer.get_vocab_size()
    tensors = {f"{prefix}{name}": tensor for name, tensor in tiny.bert_tensors(words, segments=1).items()}
    tensors |= head()
    config = tiny.bert_config(model_type=model_type, vocab_size=words, type_vocab_size=1, pad_token_id=1)
    return _written(folder, tokenizer, tensors, config)


def _clip(folder: Path, *, activation: str, end: int | None = None) -> Path:
    tokenizer = tiny.byte_pairs("<|startoftext|>", "<|endoftext|>")
    words = tokenizer.get_vocab_size()
    config = tiny.clip_config(activation, words, eos_token_id=end or words - 1, bos_token_id=0, pad_token_id=1)
    preprocessor = json.loads((HOME / "configs/models/clip-shapes/preprocessor_config.json").read_text())
    size: dict[str, Any] = {
        "crop_size": {"height": tiny.IMAGE, "width": tiny.IMAGE},
        "size": {"shortest_edge": tiny.IMAGE},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor | size))
    return _written(folder, tokenizer, tiny.clip_tensors(words), config)


def _siglip(folder: Path) -> Path:
    tokenizer = tiny.unigrams()
    (folder / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_processor_type": "SiglipImageProcessor",
                "image_mean": [0.5] * 3,
                "image_std": [0.5] * 3,
                "resample": 3,
                "rescale_factor": 1 / 255,
                "size": {"height": tiny.IMAGE, "width": tiny.IMAGE},
            }
        )
    )
    settings = {"tokenizer_class": "SiglipTokenizer", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    words = tokenizer.get_vocab_size()
    return _written(folder, tokenizer, tiny.siglip_tensors(words), tiny.siglip_config(words))


def _written(folder: Path, tokenizer: Tokenizer, tensors: tiny.Tensors, config: dict[str, Any]) -> Path:
    tokenizer.save(str(folder / "tokenizer.json"))
    return tiny.write_as(folder, tensors, config)


def _starter() -> list[Case]:
    cards = catalogue.load(HOME / "configs/models/starter.yaml")
    return [Case(card) for card in cards if card.family != "bm25"]


def _random_dense() -> Iterator[Case]:
    for pooling in ("mean", "cls", "last"):
        yield Case(_card(f"bert-{pooling}", "dense", pooling=pooling), _bert)
    yield Case(_card("bert-not-normalized", "dense", pooling="cls", normalize=False), _bert)
    for activation in ("gelu_new", "gelu_pytorch_tanh", "relu"):
        yield Case(_card(f"bert-{activation}", "dense", pooling="mean"), partial(_bert, hidden_act=activation))
    for model_type, prefix, tokenizer in (
        ("roberta", "", tiny.byte_pairs()),
        ("xlm-roberta", "roberta.", tiny.unigrams()),
        ("camembert", "roberta.", tiny.unigrams()),
    ):
        write = partial(_roberta, model_type=model_type, prefix=prefix, tokenizer=tokenizer)
        yield Case(_card(model_type, "dense", pooling="mean", context_window=tiny.POSITIONS - 2), write)


_LIKE_THEIR_MODELS: dict[str, dict[str, Any]] = {
    "distilbert": {"pooling": "cls"},
    "qwen3": {"pooling": "last"},
    "gte": {"pooling": "cls"},
    "jina": {"dimensions": 24},
}
"""What the cards of some architectures say, as their best-known models have it."""


def _random_architectures() -> Iterator[Case]:
    for name, make in architectures.ARCHITECTURES.items():
        fields = {"pooling": "mean", **_LIKE_THEIR_MODELS.get(name, {})}
        yield Case(_card(name, "dense", **fields), partial(_of_architecture, make=make))


def _projected(folder: Path) -> Path:
    """As EmbeddingGemma is: two linear layers behind the pooling, one with an activation."""
    _of_architecture(folder, architectures.gemma)
    for name, (outputs, inputs), activation in (
        ("2_Dense", (3 * tiny.HIDDEN, tiny.HIDDEN), "torch.nn.modules.linear.Identity"),
        ("3_Dense", (tiny.PROJECTION, 3 * tiny.HIDDEN), "torch.nn.modules.activation.Tanh"),
    ):
        layer = tiny.Weights().linear("linear", outputs, inputs)
        (folder / name).mkdir()
        settings = {"in_features": inputs, "out_features": outputs, "bias": True, "activation_function": activation}
        tiny.write_as(folder / name, layer, settings)
    return folder


def _modern_colbert(folder: Path) -> Path:
    """As PyLate writes a ModernBERT: its projection in a folder of its own."""
    _of_architecture(folder, partial(architectures.modernbert, window=64))
    (folder / "1_Dense").mkdir()
    projection = {"linear.weight": tiny.Weights().weight(tiny.PROJECTION, tiny.HIDDEN)}
    identity = "torch.nn.modules.linear.Identity"
    settings = {"in_features": tiny.HIDDEN, "out_features": tiny.PROJECTION, "bias": False}
    tiny.write_as(folder / "1_Dense", projection, {**settings, "activation_function": identity})
    return folder


def _random_modules() -> Iterator[Case]:
    projections = ["2_Dense", "3_Dense"]
    card = _card("projected", "dense", pooling="mean", dimensions=tiny.PROJECTION, projections=projections)
    alone = ("transformers",)  # and sentence-transformers: fastembed has none of these
    yield Case(card, _projected, libraries=alone)
    for pooling in ("max", "weighted-mean"):
        yield Case(_card(f"bert-{pooling}", "dense", pooling=pooling), _bert, libraries=alone)
    markers = {"query": 1, "document": 2}
    card = _card(
        "modern-colbert", "late-interaction", dimensions=tiny.PROJECTION, markers=markers, projections=["1_Dense"]
    )
    for direction in ("update", "search"):
        yield Case(card, _modern_colbert, direction, alone)


def _random_sparse() -> Iterator[Case]:
    yield Case(_card("splade", "sparse", dimensions=None), _splade)
    for name in ("distilbert", "modernbert"):
        write = partial(_of_architecture, make=architectures.ARCHITECTURES[name])
        yield Case(_card(f"splade-{name}", "sparse", dimensions=None), write)
    head = partial(tiny.roberta_head, tiny.unigrams().get_vocab_size())
    write = partial(_roberta, tokenizer=tiny.unigrams(), model_type="xlm-roberta", prefix="roberta.", head=head)
    window = tiny.POSITIONS - 2
    yield Case(_card("splade-xlm-roberta", "sparse", dimensions=None, context_window=window), write)


def _random_words() -> Iterator[Case]:
    for family, write in (("bm42", word_models.bm42), ("minicoil", word_models.minicoil)):
        card = _card(family, family, dimensions=None, output="attention_6" if family == "bm42" else None)
        for direction in ("update", "search"):
            yield Case(card, write, direction, ("fastembed",))


def _random_others() -> Iterator[Case]:
    size: dict[str, Any] = {"dimensions": tiny.PROJECTION}
    projection = {"linear.weight": tiny.Weights().weight(tiny.PROJECTION, tiny.HIDDEN)}
    colbert = _card("colbert", "late-interaction", markers={"query": 1, "document": 2}, **size)
    for direction in ("update", "search"):
        yield Case(colbert, partial(_bert, prefix="bert.", extra=projection), direction)
    image: dict[str, Any] = {"image_size": tiny.IMAGE, "image_limits": {}, "context_window": None, **size}
    for activation, end in (("quick_gelu", None), ("gelu", 2)):
        write = partial(_clip, activation=activation, end=end)
        yield Case(_card(f"clip-text-{activation}", "clip-text", **size), write)
        yield Case(_card(f"clip-vision-{activation}", "clip-vision", **image), write)


def _random_text_image() -> Iterator[Case]:
    size: dict[str, Any] = {"image_size": tiny.IMAGE, "image_limits": {}}
    shape = {"fit": "stretch", "resample": "bicubic"}
    card = _card("siglip", "text-image", filled_with=1, image_shape=shape, **size)
    for reads in card.reads:
        yield Case(card, _siglip, libraries=("transformers",), reads=reads)
    clip = _card("clip", "text-image", **size, dimensions=tiny.PROJECTION)
    for reads in clip.reads:
        yield Case(clip, partial(_clip, activation="quick_gelu"), libraries=("transformers",), reads=reads)


def _many(folder: Path) -> Path:
    """As BGE-M3 is: the layers of its other vectors in files of PyTorch's."""
    write = partial(_roberta, tokenizer=tiny.unigrams(), model_type="xlm-roberta")
    for name, outputs in (("sparse_linear", 1), ("colbert_linear", tiny.PROJECTION)):
        layer = tiny.Weights().linear("", outputs, tiny.HIDDEN)
        torch_zip.save(folder / f"{name}.pt", {key.removeprefix("."): tensor for key, tensor in layer.items()})
    return write(folder)


def _random_many() -> Iterator[Case]:
    heads = [
        {"family": "sparse", "weights": "sparse_linear.pt"},
        {"family": "late-interaction", "weights": "colbert_linear.pt", "dimensions": tiny.PROJECTION},
    ]
    card = _card("bge-m3", "dense", pooling="cls", context_window=tiny.POSITIONS - 2, heads=heads)
    kinds: tuple[VectorKind, ...] = ("dense", "sparse", "multivector")
    for kind in kinds:
        yield Case(card, _many, libraries=("transformers",), kind=kind)


def _random_rerankers() -> Iterator[Case]:
    for name in rerankers.RERANKERS:
        fields: dict[str, Any] = {"dimensions": None, "context_window": rerankers.window(name)}
        yield Case(_card(f"{name}-reranker", "cross-encoder", **fields), partial(rerankers.write, name=name), "search")


CASES = [
    *_starter(),
    *_random_dense(),
    *_random_architectures(),
    *_random_modules(),
    *_random_sparse(),
    *_random_words(),
    *_random_others(),
    *_random_text_image(),
    *_random_many(),
    *_random_rerankers(),
]
