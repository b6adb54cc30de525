"""What fastembed makes of a case's ONNX file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType
from fastembed.image.onnx_embedding import OnnxImageEmbedding
from fastembed.late_interaction.colbert import Colbert
from fastembed.rerank.cross_encoder import TextCrossEncoder
from fastembed.sparse.bm42 import Bm42
from fastembed.sparse.minicoil import MiniCOIL
from fastembed.sparse.splade_pp import SpladePP
from fastembed.text.clip_embedding import CLIPOnnxEmbedding
from PIL import Image

from tests.parity.cases import Case
from tests.parity.ours import ENTRIES, by_entry

_POOLINGS = {"mean": PoolingType.MEAN, "cls": PoolingType.CLS, "last": PoolingType.LAST_TOKEN}


def theirs(case: Case, folder: Path) -> np.ndarray:
    """The case's result; the folder holds its ONNX file."""
    return _FAMILIES[case.card.family](case, folder)


def _dense(case: Case, folder: Path) -> np.ndarray:
    name = str(folder)  # no other model has been added by this name
    TextEmbedding.add_custom_model(
        model=name,
        pooling=_POOLINGS[str(case.card.pooling)],
        normalization=case.card.normalize,
        sources=ModelSource(hf=case.card.name),
        dim=int(case.card.dimensions or 0),
        model_file="model.onnx",
    )
    return np.stack(list(TextEmbedding(name, specific_model_path=str(folder)).embed(case.inputs)))


def _sparse(case: Case, folder: Path) -> np.ndarray:
    rows = np.zeros((len(case.inputs), ENTRIES), np.float32)
    model = SpladePP("prithivida/Splade_PP_en_v1", specific_model_path=str(folder))
    for row, found in zip(rows, model.embed(case.inputs), strict=True):
        row[found.indices] = found.values
    return rows


def _bm42(case: Case, folder: Path) -> np.ndarray:
    return _of_words(case, Bm42("Qdrant/bm42-all-minilm-l6-v2-attentions", specific_model_path=str(folder)))


def _minicoil(case: Case, folder: Path) -> np.ndarray:
    (folder / "onnx").mkdir()
    shutil.copy(folder / "model.onnx", folder / "onnx" / "model.onnx")
    return _of_words(case, MiniCOIL("Qdrant/minicoil-v1", specific_model_path=str(folder)))


def _of_words(case: Case, model: Bm42 | MiniCOIL) -> np.ndarray:
    embed = model.query_embed if case.direction == "search" else model.embed
    return np.concatenate([by_entry(found.indices, found.values) for found in embed(case.inputs)])


def _late_interaction(case: Case, folder: Path) -> np.ndarray:
    shutil.copy(folder / "model.onnx", folder / "vespa_colbert.onnx")
    model = Colbert("answerdotai/answerai-colbert-small-v1", specific_model_path=str(folder))
    embed = model.query_embed if case.direction == "search" else model.embed
    return np.concatenate(list(embed(case.inputs)))


def _clip_text(case: Case, folder: Path) -> np.ndarray:
    """Normalized, which fastembed leaves to Qdrant."""
    model = CLIPOnnxEmbedding("Qdrant/clip-ViT-B-32-text", specific_model_path=str(folder))
    return np.stack([row / np.linalg.norm(row) for row in model.embed(case.inputs)])


def _clip_vision(case: Case, folder: Path) -> np.ndarray:
    model = OnnxImageEmbedding("Qdrant/clip-ViT-B-32-vision", specific_model_path=str(folder))
    return np.stack(list(model.embed([Image.fromarray(image) for image in case.inputs])))


def _cross_encoder(case: Case, folder: Path) -> np.ndarray:
    name = str(folder)  # as above
    TextCrossEncoder.add_custom_model(name, model_file="model.onnx", sources=ModelSource(hf=case.card.name))
    model = TextCrossEncoder(name, specific_model_path=str(folder))
    return np.array([[*model.rerank(pair.query, [pair.document])] for pair in case.inputs], np.float32)


_FAMILIES: dict[str, Callable[[Case, Path], np.ndarray]] = {
    "dense": _dense,
    "sparse": _sparse,
    "bm42": _bm42,
    "minicoil": _minicoil,
    "late-interaction": _late_interaction,
    "clip-text": _clip_text,
    "clip-vision": _clip_vision,
    "cross-encoder": _cross_encoder,
}
