"""Graphs of random weights; those of real models are held against transformers in families/."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from deployments.architectures.checkpoint import Checkpoint
from deployments.errors import ModelError
from deployments.graphs import clip, heads, siglip
from deployments.graphs.builder import Graph
from deployments.graphs.towers import Preprocessor
from deployments.networks.session import open_session
from deployments.networks.settings import SessionSettings
from tests.support import cuda_kernels, tiny

IDS = np.array([[3, 1, 4, 1, 5], [9, 2, 6, 0, 0]], np.int32)
LENGTHS = np.array([5, 3], np.int32)


def run(model: bytes, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    (output,) = open_session(lambda _: model, SessionSettings(provider="cpu")).run(
        {"input_ids": ids, "lengths": lengths}
    )
    return output


def test_padding_changes_nothing_whatever_stands_there(tmp_path: Path) -> None:
    model = heads.encoder(Checkpoint(tiny.write(tmp_path, tiny.bert_tensors())))
    other = IDS.copy()
    other[1, 3:] = [7, 8]
    alone = run(model, IDS[1:, :3], LENGTHS[1:])
    for ids in (IDS, other):
        assert np.abs(run(model, ids, LENGTHS)[1, :3] - alone[0]).max() < 1e-5


def test_prefix_and_old_names_make_the_same_model(tmp_path: Path) -> None:
    tensors = tiny.bert_tensors()
    old = {
        f"bert.{name}".replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): tensor
        for name, tensor in tensors.items()
    }
    model = heads.encoder(Checkpoint(tiny.write(tmp_path, tensors)))
    assert model == heads.encoder(Checkpoint(tiny.write(tmp_path, old)))


def test_an_output_layer_of_its_own_is_used_where_there_is_one(tmp_path: Path) -> None:
    words = tiny.bert_tensors()["embeddings.word_embeddings.weight"]
    head = {
        "cls.predictions.bias": np.zeros(tiny.WORDS, np.float32),
        "cls.predictions.transform.dense.weight": np.eye(tiny.HIDDEN, dtype=np.float32),
        "cls.predictions.transform.dense.bias": np.zeros(tiny.HIDDEN, np.float32),
        "cls.predictions.transform.LayerNorm.weight": np.ones(tiny.HIDDEN, np.float32),
        "cls.predictions.transform.LayerNorm.bias": np.zeros(tiny.HIDDEN, np.float32),
    }
    tied = heads.splade(Checkpoint(tiny.write(tmp_path, tiny.bert_tensors() | head)))
    own = head | {"cls.predictions.decoder.weight": words[::-1].copy()}
    reversed_ = heads.splade(Checkpoint(tiny.write(tmp_path, tiny.bert_tensors() | own)))
    assert np.abs(run(tied, IDS, LENGTHS) - run(reversed_, IDS, LENGTHS)[:, ::-1]).max() < 1e-5


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"model_type": "t5"}, "architecture 't5'"),
        ({"hidden_act": "swish"}, "hidden_act 'swish'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key'"),
        ({"is_decoder": True}, "is_decoder 'True'"),
        ({"num_hidden_layers": 1}, r"tensor 'encoder\.layer\.1\.attention\.output\.LayerNorm\.bias' and 15 more"),
        ({"num_attention_heads": None}, "'num_attention_heads'"),
        ({"num_hidden_layers": 3}, r"no tensor 'encoder\.layer\.2"),
    ],
)
def test_what_cannot_be_built_is_named(tmp_path: Path, config: dict[str, Any], named: str) -> None:
    checkpoint = Checkpoint(tiny.write(tmp_path, tiny.bert_tensors(), **config))
    with pytest.raises(ModelError, match=named):
        heads.encoder(checkpoint)


def test_what_follows_the_hidden_states_may_be_there(tmp_path: Path) -> None:
    others = dict.fromkeys(("pooler.dense.weight", "embeddings.position_ids", "cls.predictions.bias"), LENGTHS)
    model = heads.encoder(Checkpoint(tiny.write(tmp_path, tiny.bert_tensors())))
    assert model == heads.encoder(Checkpoint(tiny.write(tmp_path, tiny.bert_tensors() | others)))


@pytest.mark.parametrize("name", ["encoder.layer.0.adapter.weight", "linear.weight", "classifier.weight"])
def test_a_tensor_that_would_change_the_result_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    extra = {name: np.eye(tiny.HIDDEN, dtype=np.float32)}
    with pytest.raises(ModelError, match=f"tensor '{name}'"):
        heads.encoder(Checkpoint(tiny.write(tmp_path, tiny.bert_tensors() | extra)))


def test_robertas_positions_begin_after_those_of_padding(tmp_path: Path) -> None:
    tensors = tiny.bert_tensors()
    moved = tensors["embeddings.position_embeddings.weight"]
    longer = {"embeddings.position_embeddings.weight": np.concatenate([np.full_like(moved[:3], 1e6), moved])}
    model = heads.encoder(Checkpoint(tiny.write(tmp_path, tensors)))
    folder = tiny.write(tmp_path, tensors | longer, model_type="roberta", pad_token_id=2)
    assert heads.encoder(Checkpoint(folder)) == model
    assert heads.positions(Checkpoint(folder)) == tiny.POSITIONS - 3


def test_a_bert_is_no_clip(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tiny.write(tmp_path, tiny.bert_tensors()))
    with pytest.raises(ModelError, match="architecture 'bert' cannot be run here, only clip"):
        clip.text(checkpoint)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("gelu", [-0.158655, 0.841345]),
        ("gelu_new", [-0.158808, 0.841192]),
        ("gelu_pytorch_tanh", [-0.158808, 0.841192]),
        ("quick_gelu", [-0.154204, 0.845796]),
        ("relu", [0, 1]),
    ],
)
def test_activations_have_their_values_at_minus_one_and_one(tmp_path: Path, name: str, values: list[float]) -> None:
    graph = Graph(Checkpoint(tiny.write(tmp_path, {})))
    model = graph.serialize(graph.activate(graph.input("x", np.float32, ["n"]), name), ["n"])
    (output,) = open_session(lambda _: model, SessionSettings(provider="cpu")).run({"x": np.array([-1, 1], np.float32)})
    assert output == pytest.approx(values, abs=1e-5)


def builders(folder: Path) -> dict[str, Callable[[npt.DTypeLike], bytes]]:
    """All graphs, by the names of their kinds."""
    head = tiny.masked_language_head() | {"linear.weight": tiny.Weights().weight(tiny.PROJECTION, tiny.HIDDEN)}
    for name, tensors, config in (
        ("bert", tiny.bert_tensors(), tiny.bert_config()),
        ("splade", tiny.bert_tensors() | tiny.masked_language_head(), tiny.bert_config()),
        ("colbert", tiny.bert_tensors() | head, tiny.bert_config()),
        ("clip", tiny.clip_tensors(), tiny.clip_config("quick_gelu")),
        ("siglip", tiny.siglip_tensors(), tiny.siglip_config()),
    ):
        (folder / name).mkdir()
        tiny.write_as(folder / name, tensors, config)
    preprocessor = Preprocessor(image_mean=(0.5, 0.5, 0.5), image_std=(0.3, 0.3, 0.3))
    return {
        "encoder": lambda weights: heads.encoder(Checkpoint(folder / "bert"), weights),
        "splade": lambda weights: heads.splade(Checkpoint(folder / "splade"), weights),
        "colbert": lambda weights: heads.colbert(Checkpoint(folder / "colbert"), weights),
        "text": lambda weights: clip.text(Checkpoint(folder / "clip"), weights),
        "vision": lambda weights: clip.vision(Checkpoint(folder / "clip"), preprocessor, weights),
        "siglip text": lambda weights: siglip.text(Checkpoint(folder / "siglip"), weights),
        "siglip vision": lambda weights: siglip.vision(Checkpoint(folder / "siglip"), preprocessor, weights),
    }


each_kind = pytest.mark.parametrize(
    "kind", ["encoder", "splade", "colbert", "text", "vision", "siglip text", "siglip vision"]
)
INPUTS = {
    "input_ids": IDS,
    "lengths": LENGTHS,
    "pixels": np.arange(2 * tiny.IMAGE**2 * 3).reshape(2, tiny.IMAGE, tiny.IMAGE, 3).astype(np.uint8),
}


@each_kind
def test_a_float16_graph_gives_float32_that_is_close(tmp_path: Path, kind: str) -> None:
    """On a CPU, where what has no float16 kernel runs in float32 between casts."""
    build = builders(tmp_path)[kind]
    settings = SessionSettings(provider="cpu")
    (exact,), (half,) = (
        open_session(lambda _, weights=weights: build(weights), settings).run(INPUTS)
        for weights in (np.float32, np.float16)
    )
    assert half.dtype == np.float32
    rows, others = exact.reshape(-1, exact.shape[-1]), half.reshape(-1, exact.shape[-1])
    cosines = (rows * others).sum(axis=1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(others, axis=1)
    assert cosines.min() > 0.9999
    assert np.abs(exact - half).max() > 1e-5, "this was not float16"


def test_float16_pixels_lose_next_to_nothing_before_the_layers(tmp_path: Path) -> None:
    """Of bright images too, whose sums would be large if their middle were not taken off first."""
    build, settings = builders(tmp_path)["vision"], SessionSettings(provider="cpu")
    bright = {"pixels": np.full((1, tiny.IMAGE, tiny.IMAGE, 3), 255, np.uint8)}
    (exact,), (half,) = (
        open_session(lambda _, weights=weights: build(weights), settings).run(bright)
        for weights in (np.float32, np.float16)
    )
    assert half == pytest.approx(exact, rel=0.02, abs=0.01)


@each_kind
def test_nothing_large_of_a_float16_graph_would_leave_the_gpu(tmp_path: Path, kind: str) -> None:
    """CLIP looks for the end of a text among its token ids, which CUDA has no ArgMax for."""
    left = cuda_kernels.without_kernel(builders(tmp_path)[kind](np.float16))
    assert left == ({"ArgMax"} if kind == "text" else set())


@each_kind
def test_a_float16_graph_is_sound_and_half_as_large(tmp_path: Path, kind: str) -> None:
    build = builders(tmp_path)[kind]
    half = onnx.load_from_string(build(np.float16))
    onnx.checker.check_model(half)
    onnx.shape_inference.infer_shapes(half, strict_mode=True)
    sizes = {
        weights: sum(len(each.raw_data) for each in onnx.load_from_string(build(weights)).graph.initializer)
        for weights in (np.float32, np.float16)
    }
    assert sizes[np.float16] < 0.7 * sizes[np.float32]


@pytest.mark.parametrize("weights", [np.float32, np.float16])
def test_pixels_beyond_the_last_whole_patch_are_not_seen(tmp_path: Path, weights: type[np.generic]) -> None:
    """SigLIP so400m cuts 384 pixels into 27 patches of 14."""
    config, size = tiny.siglip_config(), tiny.IMAGE + tiny.PATCH // 2
    config["vision_config"]["image_size"] = size
    checkpoint = Checkpoint(tiny.write_as(tmp_path, tiny.siglip_tensors(), config))
    preprocessor = Preprocessor(image_mean=(0.5, 0.5, 0.5), image_std=(0.5, 0.5, 0.5))
    session = open_session(lambda _: siglip.vision(checkpoint, preprocessor, weights), SessionSettings(provider="cpu"))
    black = np.zeros((1, size, size, 3), np.uint8)
    edge, middle = black.copy(), black.copy()
    edge[:, tiny.IMAGE :], middle[:, 4] = 255, 255
    plain, same, other = (session.run({"pixels": pixels})[0] for pixels in (black, edge, middle))
    assert same == pytest.approx(plain, abs=1e-6)
    assert np.abs(other - plain).max() > 0.01


def test_siglip_for_any_size_is_refused_by_its_name(tmp_path: Path) -> None:
    config = {**tiny.siglip_config(), "model_type": "siglip2"}
    with pytest.raises(ModelError, match="architecture 'siglip2' cannot be run here, only siglip"):
        siglip.text(Checkpoint(tiny.write_as(tmp_path, tiny.siglip_tensors(), config)))
