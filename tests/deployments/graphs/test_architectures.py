"""All architectures on tiny random checkpoints; tests/parity holds what they give against transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.architectures.checkpoint import Checkpoint, Config
from deployments.architectures.known import transformer
from deployments.architectures.rotary import rotary
from deployments.contract import Floats, MultiVectors
from deployments.errors import ModelError
from deployments.graphs import heads
from deployments.networks.opening import Graphs, open_network
from deployments.networks.session import open_session
from deployments.networks.settings import SessionSettings
from tests.support import tiny
from tests.support.architectures import ARCHITECTURES, Made

CPU = SessionSettings(provider="cpu")
each_architecture = pytest.mark.parametrize("make", ARCHITECTURES.values(), ids=ARCHITECTURES)
Make = Callable[[int], Made]


def written(folder: Path, make: Make, **changes: Any) -> Path:
    tensors, config = make(tiny.WORDS)
    return tiny.write_as(folder, tensors, {**config, **changes})


def hidden_states(folder: Path, weights: type[np.generic], ids: np.ndarray) -> Floats:
    model = heads.encoder(Checkpoint(folder), weights)
    inputs = {"input_ids": ids, "lengths": np.full(len(ids), ids.shape[1], np.int32)}
    (output,) = open_session(lambda _: model, CPU).run(inputs)
    return output


@each_architecture
def test_packed_and_padded_rows_give_the_same(tmp_path: Path, make: Make) -> None:
    folder = written(tmp_path, make)
    rng = np.random.default_rng(0)
    texts = [rng.integers(1, tiny.WORDS, count).tolist() for count in (5, 40, 1, 22, 63, 30, 2)]
    attended = np.array([len(text) for text in texts], np.int32)
    graphs = Graphs(heads.positions, heads.encoder)
    networks = (
        open_network(tiny.card(), folder, SessionSettings(provider="cpu", rows=rows), graphs)
        for rows in ("packed", "padded")
    )
    packed, padded = (network(texts, attended) for network in networks)
    assert isinstance(packed, MultiVectors)
    assert isinstance(padded, MultiVectors)
    assert np.isfinite(packed.rows).all()
    assert packed.rows == pytest.approx(padded.rows, abs=2e-5)


@each_architecture
def test_the_order_of_tokens_matters(tmp_path: Path, make: Make) -> None:
    """Shuffled, since the mirror image of a text has the same distances."""
    ids, order = np.arange(1, 41, dtype=np.int32), np.random.default_rng(0).permutation(40)
    plain, shuffled = hidden_states(written(tmp_path, make), np.float32, np.stack([ids, ids[order]]))
    assert np.abs(plain[order] - shuffled).max() > 0.01


@each_architecture
def test_float16_keeps_the_cosine_or_is_refused(tmp_path: Path, make: Make) -> None:
    folder, ids = written(tmp_path, make), np.arange(1, 41, dtype=np.int32)[None]
    if not transformer(Config(folder)).float16:
        with pytest.raises(ModelError, match="too large for float16"):
            heads.encoder(Checkpoint(folder), np.float16)
        return
    exact, half = (hidden_states(folder, weights, ids)[0] for weights in (np.float32, np.float16))
    cosines = (exact * half).sum(axis=1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(half, axis=1)
    assert cosines.min() > 0.9999
    assert np.abs(exact - half).max() > 1e-5, "this was not float16"


@each_architecture
def test_a_tensor_that_nobody_asked_for_is_refused_by_its_name(tmp_path: Path, make: Make) -> None:
    tensors, config = make(tiny.WORDS)
    tiny.write_as(tmp_path, tensors | {"adapter.weight": np.zeros(3, np.float32)}, config)
    with pytest.raises(ModelError, match=r"tensor 'adapter\.weight'"):
        heads.encoder(Checkpoint(tmp_path))


@pytest.mark.parametrize(
    ("name", "changes", "named"),
    [
        ("nomic", {"prenorm": True}, "prenorm 'True'"),
        ("nomic", {"rotary_emb_scale_base": 512}, "rotary_emb_scale_base '512' cannot be run here, only none"),
        ("gte", {"position_embedding_type": "absolute"}, "position_embedding_type 'absolute'"),
        ("gte", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling 'linear'"),
        ("qwen3", {"use_sliding_window": True}, "use_sliding_window 'True'"),
        ("jina", {"feed_forward_type": "original"}, "feed_forward_type 'original'"),
        ("modernbert", {"model_type": "modernbert-decoder"}, "architecture 'modernbert-decoder'"),
    ],
)
def test_what_cannot_be_built_is_named(tmp_path: Path, name: str, changes: dict[str, Any], named: str) -> None:
    folder = written(tmp_path, ARCHITECTURES[name], **changes)
    with pytest.raises(ModelError, match=named):
        transformer(Config(folder))


def test_settings_in_the_form_of_transformers_5_are_the_same_model(tmp_path: Path) -> None:
    old = transformer(Config(written(tmp_path, ARCHITECTURES["modernbert"])))
    parameters = {
        "full_attention": {"rope_type": "default", "rope_theta": 160000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
    }
    types = ["full_attention", "sliding_attention", "sliding_attention", "full_attention"]
    gone = dict.fromkeys(("global_attn_every_n_layers", "global_rope_theta", "local_rope_theta"))
    folder = written(tmp_path, ARCHITECTURES["modernbert"], rope_parameters=parameters, layer_types=types, **gone)
    assert transformer(Config(folder)) == old


def test_ntk_scaling_stretches_the_slow_angles_most(tmp_path: Path) -> None:
    """Of gte-base-en-v1.5: base 500,000 and factor 2; worked out by hand for a head of four numbers."""
    scaling = {"type": "ntk", "factor": 2.0}
    folder = written(tmp_path, ARCHITECTURES["gte"], rope_theta=500000, rope_scaling=scaling)
    assert rotary(Config(folder), 4).angles == pytest.approx((2**-0.5, 1e6**-0.5 * 2**-0.5))


def test_the_hubs_name_of_gte_is_the_same_architecture(tmp_path: Path) -> None:
    gte = transformer(Config(written(tmp_path, ARCHITECTURES["gte"])))
    folder = written(tmp_path, ARCHITECTURES["gte"], model_type="new", pack_qkv=True)
    assert transformer(Config(folder)) == gte
    assert heads.encoder(Checkpoint(folder))


def test_a_token_with_nothing_in_its_window_sees_no_other_text(tmp_path: Path) -> None:
    """Masks behind a query are not attended to, and the last ones are far from what is."""
    folder = written(tmp_path, ARCHITECTURES["modernbert"])
    network = open_network(tiny.card(), folder, CPU, Graphs(heads.positions, heads.encoder))
    query, other = [3, 4, 5, *[6] * 29], list(range(1, 30))
    alone = network([query], np.array([3], np.int32))
    together = network([other, query], np.array([29, 3], np.int32))
    assert isinstance(alone, MultiVectors)
    assert isinstance(together, MultiVectors)
    assert together[1] == pytest.approx(alone[0], abs=2e-5)
