"""What PyTorch and transformers make of a case: one input at a time, without padding, in float32."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load_file
from sentence_transformers.models import Dense
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    CLIPImageProcessor,
    CLIPModel,
    PreTrainedTokenizerFast,
    SiglipImageProcessor,
    SiglipModel,
)

from deployments.catalogue.card import Markers
from tests.parity.cases import Case
from tests.parity.jina_bert import jina_bert
from tests.parity.ours import ENTRIES

normalize = torch.nn.functional.normalize

_POOLINGS: dict[str, Callable[[Any], Any]] = {
    "mean": lambda hidden: hidden.mean(dim=0),
    "cls": lambda hidden: hidden[0],
    "last": lambda hidden: hidden[-1],
    "max": lambda hidden: hidden.amax(dim=0),
    "weighted-mean": lambda hidden: (weights := torch.arange(1.0, len(hidden) + 1)) @ hidden / weights.sum(),
}


def theirs(case: Case, folder: Path) -> np.ndarray:
    """The case's result."""
    with torch.inference_mode():
        return _many(case, folder) if case.kind else _FAMILIES[case.card.family](case, folder)


def _dense(case: Case, folder: Path) -> np.ndarray:
    hidden_states = jina_bert(folder) if case.name.endswith("jina") else _hidden_states(folder)
    rows = torch.stack([_POOLINGS[str(case.card.pooling)](hidden_states(ids)) for ids in _ids(case, folder)])
    for name in case.card.projections:
        rows = Dense.load(str(folder / name))({"sentence_embedding": rows})["sentence_embedding"]
    return (normalize(rows) if case.card.normalize else rows).numpy()


def _hidden_states(folder: Path) -> Callable[[Any], Any]:
    """From the ids of one text to its hidden states."""
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    return lambda ids: model(input_ids=ids).last_hidden_state[0]


def _many(case: Case, folder: Path) -> np.ndarray:
    """As FlagEmbedding's model for BGE-M3 makes its three kinds of vectors."""
    hidden_states, ids = _hidden_states(folder), _ids(case, folder)
    if case.kind == "dense":
        return normalize(torch.stack([hidden_states(row)[0] for row in ids])).numpy()
    head = next(each for each in case.card.heads if (each.family == "sparse") == (case.kind == "sparse"))
    layer = torch.load(folder / head.weights, weights_only=True)
    special = _tokenizer(folder).convert_tokens_to_ids(["<s>", "</s>", "<pad>", "<unk>", "<mask>"])
    found = []
    for row in ids:
        made = hidden_states(row) @ layer["weight"].T + layer["bias"]
        found.append(normalize(made[1:]) if case.kind == "multivector" else _lexical(row[0], made[:, 0], special))
    return torch.cat(found).numpy()


def _lexical(ids: Any, weights: Any, special: Sequence[int]) -> Any:
    """The highest weight of each token, `[1, ENTRIES]`."""
    row = torch.zeros(1, ENTRIES)
    for token, weight in zip(ids.tolist(), torch.relu(weights).tolist(), strict=True):
        if token not in special:
            row[0, token] = max(float(row[0, token]), weight)
    return row


def _sparse(case: Case, folder: Path) -> np.ndarray:
    model = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()
    logits = [model(input_ids=ids).logits[0] for ids in _ids(case, folder)]
    rows = torch.stack([torch.log1p(torch.relu(each)).amax(dim=0) for each in logits]).numpy()
    return np.pad(rows, ((0, 0), (0, ENTRIES - rows.shape[1])))


def _late_interaction(case: Case, folder: Path) -> np.ndarray:
    """After the paper's code: mask tokens are not attended to, and punctuation in documents is left out."""
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    projection = load_file(folder.joinpath(*case.card.projections, "model.safetensors"))["linear.weight"]
    tokenizer, markers = _tokenizer(folder), cast("Markers", case.card.markers)
    skipped = {tokenizer.encode(symbol, add_special_tokens=False)[0] for symbol in string.punctuation}
    found = []
    for ids in _ids(case, folder, room=1):
        marker = markers.query if case.direction == "search" else markers.document
        row = [int(ids[0, 0]), marker, *ids[0, 1:].tolist()]
        attended = [1] * len(row)
        if case.direction == "search":
            row += [tokenizer.convert_tokens_to_ids("[MASK]")] * (markers.query_length - len(row))
            attended += [0] * (len(row) - len(attended))
        hidden = model(input_ids=torch.tensor([row]), attention_mask=torch.tensor([attended])).last_hidden_state[0]
        kept = [case.direction == "search" or token not in skipped for token in row]
        found.append(normalize(hidden @ projection.T)[torch.tensor(kept)])
    return torch.cat(found).numpy()


def _clip_text(case: Case, folder: Path) -> np.ndarray:
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
    rows = [model.get_text_features(input_ids=ids).pooler_output for ids in _ids(case, folder)]
    return normalize(torch.cat(rows)).numpy()


def _clip_vision(case: Case, folder: Path) -> np.ndarray:
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
    pixels = CLIPImageProcessor.from_pretrained(folder)(case.inputs, return_tensors="pt")
    return normalize(model.get_image_features(**pixels).pooler_output).numpy()


def _text_image(case: Case, folder: Path) -> np.ndarray:
    """SigLIP reads texts that are filled up to its window, as its processor fills them, without a mask."""
    if case.card.filled_with is None:
        return (_clip_vision if case.reads == "image" else _clip_text)(case, folder)
    model = SiglipModel.from_pretrained(folder, dtype=torch.float32).eval()
    if case.reads == "image":
        pixels = SiglipImageProcessor.from_pretrained(folder)(case.inputs, return_tensors="pt")
        return normalize(model.get_image_features(**pixels).pooler_output).numpy()
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="<pad>")
    window = int(case.card.context_window or 0)
    read = tokenizer(case.inputs, padding="max_length", truncation=True, max_length=window, return_tensors="pt")
    return normalize(model.get_text_features(input_ids=read["input_ids"]).pooler_output).numpy()


def _cross_encoder(case: Case, folder: Path) -> np.ndarray:
    """As sentence-transformers calls its tokenizer and model."""
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer, reads_segments = _tokenizer(folder), getattr(model.config, "type_vocab_size", 1) > 1
    rows = []
    for pair in case.inputs:
        window = int(case.card.context_window or 0)
        read = tokenizer(
            [(pair.query, pair.document)],
            truncation="longest_first",
            max_length=window,
            return_tensors="pt",
            return_token_type_ids=reads_segments,
        )
        segments = {"token_type_ids": read["token_type_ids"]} if reads_segments else {}
        rows.append(model(input_ids=read["input_ids"], **segments).logits[0])
    return torch.stack(rows).numpy()


_FAMILIES: dict[str, Callable[[Case, Path], np.ndarray]] = {
    "dense": _dense,
    "sparse": _sparse,
    "late-interaction": _late_interaction,
    "clip-text": _clip_text,
    "clip-vision": _clip_vision,
    "text-image": _text_image,
    "cross-encoder": _cross_encoder,
}


def _ids(case: Case, folder: Path, room: int = 0) -> list[Any]:
    """The token ids of each text, `[1, tokens]`, with `room` for so many more in the context window."""
    tokenizer, window = _tokenizer(folder), int(case.card.context_window or 0) - room
    return [
        tokenizer(text, truncation=True, max_length=window, return_tensors="pt")["input_ids"] for text in case.inputs
    ]


def _tokenizer(folder: Path) -> Any:
    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
