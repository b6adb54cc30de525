"""About how many tokens models will read for a request; to count them is the replica's work, which is not begun yet."""

from __future__ import annotations

import math
from collections.abc import Sequence

from deployments.catalogue.card import ModelCard
from serve_app.inference.plan import Group

_CHARACTERS_A_TOKEN = 4
_IMAGE_TOKENS = 50
"""About as many as CLIP ViT-B/32 reads: 49 patches and the class token."""


def estimated_tokens(groups: Sequence[Group]) -> dict[str, int]:
    """About how many tokens each model will read."""
    tokens = {group.card.name: 0 for group in groups}
    for group in groups:
        tokens[group.card.name] += _of(group.card, group.inputs)
    return tokens


def _of(card: ModelCard, inputs: Sequence[str]) -> int:
    if card.modality == "image":
        return _IMAGE_TOKENS * len(inputs)
    window = card.context_window or math.inf
    return int(sum(min(len(text) / _CHARACTERS_A_TOKEN + 2, window) for text in inputs))
