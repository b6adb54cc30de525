"""What a `config.json` says of rotary positions, in its older form and in that of transformers 5."""

from __future__ import annotations

from typing import Any

from deployments.architectures.checkpoint import Config
from deployments.architectures.transformer import Rope, rope
from deployments.errors import ModelError

_KINDS = ("full_attention", "sliding_attention")


def is_local(config: Config, number: int, *, default: bool) -> bool:
    """Whether a layer sees only what is near."""
    types = config.setting("layer_types", default=[])
    return bool(types[number] == _KINDS[1]) if types else default


def rotary(
    config: Config,
    size: int,
    *,
    local: bool = False,
    names: tuple[str, str] = ("rope_theta", "rope_theta"),
    defaults: tuple[float, float] = (10e3, 10e3),
) -> Rope:
    """The rotary positions of a layer; `names` and `defaults` are those of layers that see all, and that see near.

    Raises:
        ModelError: they are scaled in a way that is not known here.
    """
    parameters = config.setting("rope_parameters", default={})
    parameters = parameters.get(_KINDS[local], parameters)
    scaling = {**(config.setting("rope_scaling", default={})), **parameters}
    theta = parameters.get("rope_theta") or config.setting(names[local], default=defaults[local])
    return rope(theta, size, config.setting("max_position_embeddings"), _factor(config, scaling))


def _factor(config: Config, scaling: dict[str, Any]) -> float:
    kind = scaling.get("rope_type") or scaling.get("type") or "default"
    if kind == "default":
        return 1.0
    if kind == "ntk" and scaling.get("mixed_b") is None:
        return float(scaling["factor"])
    raise ModelError(f"{config.folder}: rope_scaling '{kind}' cannot be run here, only 'ntk' without 'mixed_b'")
