"""Tiny random checkpoints of the architectures beside BERT and CLIP, with the names and settings of the hub's files.

The settings of Nomic BERT stand there twice: as its own code names them, and as transformers does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tests.support.tiny import HEADS, HIDDEN, LAYERS, POSITIONS, Tensors, Weights

WIDE = 2 * HIDDEN
Made = tuple[Tensors, dict[str, Any]]
"""A checkpoint's tensors, and its config.json."""


def distilbert(words: int) -> Made:
    random = Weights()
    tensors = {
        "distilbert.embeddings.word_embeddings.weight": random.weight(words, HIDDEN),
        "distilbert.embeddings.position_embeddings.weight": random.weight(POSITIONS, HIDDEN),
        **random.norm("distilbert.embeddings.LayerNorm"),
        **random.linear("vocab_transform", HIDDEN, HIDDEN),
        **random.norm("vocab_layer_norm"),
        **random.linear("vocab_projector", words, HIDDEN),
    }
    del tensors["vocab_projector.weight"]
    for layer in _layers("distilbert.transformer.layer"):
        for name in ("q_lin", "k_lin", "v_lin", "out_lin"):
            tensors |= random.linear(f"{layer}.attention.{name}", HIDDEN, HIDDEN)
        tensors |= random.linear(f"{layer}.ffn.lin1", WIDE, HIDDEN) | random.linear(f"{layer}.ffn.lin2", HIDDEN, WIDE)
        tensors |= random.norm(f"{layer}.sa_layer_norm") | random.norm(f"{layer}.output_layer_norm")
    return tensors, {
        "model_type": "distilbert",
        "activation": "gelu",
        "dim": HIDDEN,
        "hidden_dim": WIDE,
        "max_position_embeddings": POSITIONS,
        "n_heads": HEADS,
        "n_layers": LAYERS,
        "vocab_size": words,
    }


def mpnet(words: int) -> Made:
    random = Weights()
    tensors = {
        "embeddings.word_embeddings.weight": random.weight(words, HIDDEN),
        "embeddings.position_embeddings.weight": random.weight(POSITIONS + 2, HIDDEN),
        "encoder.relative_attention_bias.weight": random.weight(32, HEADS),
        **random.norm("embeddings.LayerNorm"),
        **random.linear("pooler.dense", HIDDEN, HIDDEN),
    }
    for layer in _layers("encoder.layer"):
        for name in "qkvo":
            tensors |= random.linear(f"{layer}.attention.attn.{name}", HIDDEN, HIDDEN)
        tensors |= random.linear(f"{layer}.intermediate.dense", WIDE, HIDDEN)
        tensors |= random.linear(f"{layer}.output.dense", HIDDEN, WIDE)
        tensors |= random.norm(f"{layer}.attention.LayerNorm") | random.norm(f"{layer}.output.LayerNorm")
    return tensors, {
        **_config("mpnet", words, intermediate_size=WIDE, hidden_act="gelu", layer_norm_eps=1e-5),
        "max_position_embeddings": POSITIONS + 2,
        "relative_attention_num_buckets": 32,
    }


def modernbert(words: int, window: int = 16) -> Made:
    """Of four layers, of which the first and the last see all, the others half a window to each side."""
    random = Weights()
    tensors = {
        "model.embeddings.tok_embeddings.weight": random.weight(words, HIDDEN),
        **_bare(random.norm("model.embeddings.norm") | random.norm("model.final_norm")),
        **_bare(random.linear("head.dense", HIDDEN, HIDDEN) | random.norm("head.norm")),
        "decoder.bias": random.weight(words),
    }
    for layer in _layers("model.layers", 4):
        norms = ("attn_norm", "mlp_norm") if not layer.endswith(".0") else ("mlp_norm",)
        for name in norms:
            tensors |= _bare(random.norm(f"{layer}.{name}"))
        for name, outputs, inputs in (
            ("attn.Wqkv", 3 * HIDDEN, HIDDEN),
            ("attn.Wo", HIDDEN, HIDDEN),
            ("mlp.Wi", 2 * WIDE, HIDDEN),
            ("mlp.Wo", HIDDEN, WIDE),
        ):
            tensors |= _bare(random.linear(f"{layer}.{name}", outputs, inputs))
    return tensors, {
        **_config("modernbert", words, intermediate_size=WIDE, num_hidden_layers=4),
        "global_attn_every_n_layers": 3,
        "global_rope_theta": 160000.0,
        "hidden_activation": "gelu",
        "local_attention": window,
        "local_rope_theta": 10000.0,
        "norm_eps": 1e-5,
        **dict.fromkeys(("pad_token_id", "bos_token_id", "cls_token_id", "eos_token_id", "sep_token_id"), 0),
    }


def nomic(words: int) -> Made:
    random = Weights()
    tensors = {
        "embeddings.word_embeddings.weight": random.weight(words, HIDDEN),
        "embeddings.token_type_embeddings.weight": random.weight(2, HIDDEN),
        **random.norm("emb_ln"),
    }
    for layer in _layers("encoder.layers"):
        for name, outputs, inputs in (
            ("attn.Wqkv", 3 * HIDDEN, HIDDEN),
            ("attn.out_proj", HIDDEN, HIDDEN),
            ("mlp.fc11", WIDE, HIDDEN),
            ("mlp.fc12", WIDE, HIDDEN),
            ("mlp.fc2", HIDDEN, WIDE),
        ):
            tensors |= _bare(random.linear(f"{layer}.{name}", outputs, inputs))
        tensors |= random.norm(f"{layer}.norm1") | random.norm(f"{layer}.norm2")
    own = {
        "activation_function": "swiglu",
        "layer_norm_epsilon": 1e-12,
        "max_trained_positions": POSITIONS,
        "n_embd": HIDDEN,
        "n_head": HEADS,
        "n_inner": WIDE,
        "n_layer": LAYERS,
        "n_positions": 4 * POSITIONS,
        "prenorm": False,
        "rotary_emb_base": 1000,
        "rotary_emb_fraction": 1.0,
        "rotary_emb_interleaved": False,
        "rotary_emb_scale_base": None,
    }
    config = _config("nomic_bert", words, intermediate_size=WIDE, hidden_act="silu", layer_norm_eps=1e-12)
    return tensors, {**config, **own, "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0}}


def qwen3(words: int) -> Made:
    """With half as many heads of keys and values, and heads larger than the hidden size divided by their number."""
    random, size = Weights(), 8
    tensors = {
        "embed_tokens.weight": random.weight(words, HIDDEN),
        **_bare(random.norm("norm")),
    }
    for layer in _layers("layers"):
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors |= _bare(random.norm(f"{layer}.{name}"))
        tensors |= _grouped(random, layer, HEADS * size, HEADS // 2 * size, size)
    return tensors, {
        **_config("qwen3", words, intermediate_size=WIDE, hidden_act="silu"),
        "attention_bias": False,
        "head_dim": size,
        "num_key_value_heads": HEADS // 2,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000,
        "rope_scaling": None,
        "use_sliding_window": False,
    }


def gemma(words: int) -> Made:
    """Of three layers, of which the last one sees all, the others 8 tokens to each side."""
    random, size = Weights(), 8
    tensors = {
        "embed_tokens.weight": random.weight(words, HIDDEN),
        **_bare(random.norm("norm")),
    }
    norms = ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
    for layer in _layers("layers", 3):
        for name in norms:
            tensors |= _bare(random.norm(f"{layer}.{name}"))
        tensors |= _grouped(random, layer, HEADS * size, size, size)
    return tensors, {
        **_config("gemma3_text", words, intermediate_size=WIDE, num_hidden_layers=3),
        "hidden_activation": "gelu_pytorch_tanh",
        "head_dim": size,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
        "num_key_value_heads": 1,
        "query_pre_attn_scalar": 12,
        "rms_norm_eps": 1e-6,
        "rope_local_base_freq": 10000.0,
        "rope_theta": 1000000.0,
        "sliding_window": 16,
        "use_bidirectional_attention": True,
    }


def gte(words: int) -> Made:
    random = Weights()
    tensors = {
        "new.embeddings.word_embeddings.weight": random.weight(words, HIDDEN),
        "new.embeddings.token_type_embeddings.weight": random.weight(1, HIDDEN),
        **random.norm("new.embeddings.LayerNorm"),
    }
    for layer in _layers("new.encoder.layer"):
        tensors |= random.linear(f"{layer}.attention.qkv_proj", 3 * HIDDEN, HIDDEN)
        tensors |= random.linear(f"{layer}.attention.o_proj", HIDDEN, HIDDEN)
        tensors |= _bare(random.linear(f"{layer}.mlp.up_gate_proj", 2 * WIDE, HIDDEN))
        tensors |= random.linear(f"{layer}.mlp.down_proj", HIDDEN, WIDE)
        tensors |= random.norm(f"{layer}.attn_ln") | random.norm(f"{layer}.mlp_ln")
    return tensors, {
        **_config("gte", words, intermediate_size=WIDE, hidden_act="gelu", layer_norm_eps=1e-12),
        "position_embedding_type": "rope",
        "rope_theta": 20000,
        "type_vocab_size": 1,
    }


def jina(words: int) -> Made:
    """With six heads, a number that is no power of two."""
    random, hidden, heads = Weights(), 24, 6
    tensors = {
        "embeddings.word_embeddings.weight": random.weight(words, hidden),
        "embeddings.token_type_embeddings.weight": random.weight(2, hidden),
        **random.norm("embeddings.LayerNorm", hidden),
    }
    for layer in _layers("encoder.layer"):
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            tensors |= random.linear(f"{layer}.attention.{name}", hidden, hidden)
        tensors |= _bare(random.linear(f"{layer}.mlp.gated_layers", 2 * WIDE, hidden))
        tensors |= random.linear(f"{layer}.mlp.wo", hidden, WIDE)
        for name in ("attention.output.LayerNorm", "mlp.layernorm"):
            tensors |= random.norm(f"{layer}.{name}", hidden)
    return tensors, {
        **_config("bert", words, intermediate_size=WIDE, hidden_act="gelu", layer_norm_eps=1e-12),
        "feed_forward_type": "geglu",
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "position_embedding_type": "alibi",
    }


def _grouped(random: Weights, layer: str, queries: int, keys: int, size: int) -> Tensors:
    """Attention with norms of queries and keys, and a gated wide layer, as Llama's relatives name them."""
    tensors: Tensors = {}
    for name, outputs, inputs in (
        ("self_attn.q_proj", queries, HIDDEN),
        ("self_attn.k_proj", keys, HIDDEN),
        ("self_attn.v_proj", keys, HIDDEN),
        ("self_attn.o_proj", HIDDEN, queries),
        ("mlp.gate_proj", WIDE, HIDDEN),
        ("mlp.up_proj", WIDE, HIDDEN),
        ("mlp.down_proj", HIDDEN, WIDE),
    ):
        tensors |= _bare(random.linear(f"{layer}.{name}", outputs, inputs))
    for name in ("self_attn.q_norm", "self_attn.k_norm"):
        tensors |= _bare(random.norm(f"{layer}.{name}", size))
    return tensors


def _layers(prefix: str, count: int = LAYERS) -> Iterable[str]:
    return (f"{prefix}.{number}" for number in range(count))


def _bare(tensors: Tensors) -> Tensors:
    """Without biases."""
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(".bias")}


def _config(model_type: str, words: int, **others: Any) -> dict[str, Any]:
    return {
        "model_type": model_type,
        "hidden_size": HIDDEN,
        "max_position_embeddings": POSITIONS,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "vocab_size": words,
        **others,
    }


ARCHITECTURES: dict[str, Callable[[int], Made]] = {
    "distilbert": distilbert,
    "mpnet": mpnet,
    "modernbert": modernbert,
    "nomic": nomic,
    "qwen3": qwen3,
    "gemma": gemma,
    "gte": gte,
    "jina": jina,
}
"""By name: from the number of words of a vocabulary to a checkpoint."""
