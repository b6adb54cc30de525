"""Gemma 3 (Gemma Team 2025), as EmbeddingGemma uses it: it looks to both sides."""

from __future__ import annotations

from deployments.architectures.checkpoint import Config
from deployments.architectures.rotary import is_local, rotary
from deployments.architectures.transformer import Attention, Embedding, Mlp, Norm, Residual, Sight, Transformer


def read(config: Config) -> Transformer:
    """A Gemma 3 without images."""
    config.expect("attn_logit_softcapping", known=None)
    hidden = config.setting("hidden_size")
    return Transformer(
        hidden=hidden,
        positions=config.setting("max_position_embeddings"),
        embedding=Embedding(words="embed_tokens", scale=hidden**0.5),
        residuals=[part for number in range(config.setting("num_hidden_layers")) for part in _layer(config, number)],
        norm=Norm("rms", config.setting("rms_norm_eps"), offset=1.0),
        final_norm="norm",
        unused=("lm_head.*",),
        float16=False,
    )


def _layer(config: Config, number: int) -> list[Residual]:
    layer, heads, size = f"layers.{number}", config.setting("num_attention_heads"), config.setting("head_dim")
    pattern = config.setting("sliding_window_pattern", default=config.setting("_sliding_window_pattern", default=6))
    local = is_local(config, number, default=(number + 1) % pattern != 0)
    attention = Attention(
        tuple(f"{layer}.self_attn.{part}_proj" for part in "qkv"),
        f"{layer}.self_attn.o_proj",
        heads,
        size,
        config.setting("num_key_value_heads", default=heads),
        _sight(config, local=local),
        rotary(config, size, local=local, names=("rope_theta", "rope_local_base_freq"), defaults=(1e6, 10e3)),
        norms=(f"{layer}.self_attn.q_norm", f"{layer}.self_attn.k_norm"),
        scale=config.setting("query_pre_attn_scalar") ** -0.5,
    )
    wide = (f"{layer}.mlp.gate_proj", f"{layer}.mlp.up_proj")
    mlp = Mlp(wide, f"{layer}.mlp.down_proj", config.setting("hidden_activation"), "first half")
    return [
        Residual(attention, before=f"{layer}.input_layernorm", inside=f"{layer}.post_attention_layernorm"),
        Residual(mlp, before=f"{layer}.pre_feedforward_layernorm", inside=f"{layer}.post_feedforward_layernorm"),
    ]


def _sight(config: Config, *, local: bool) -> Sight:
    """What looks to both sides sees half of its window on each; what looks back sees itself and those before."""
    both = config.setting("use_bidirectional_attention", default=False)
    window = config.setting("sliding_window") if local else None
    if window is not None:
        window = window // 2 if both else window - 1
    return Sight(causal=not both, window=window)
