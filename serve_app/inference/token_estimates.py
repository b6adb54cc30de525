"""About how many tokens models will read for a request; to count them is the replica's work, which is not begun yet."""

from __future__ import annotations

import math
from collections.abc import Sequence

from serve_app.inference.plan import Group

_CHARACTERS_A_TOKEN = 4
_IMAGE_TOKENS = 50
"""About as many as CLIP ViT-B/32 reads: 49 patches and the class token."""


def estimated_tokens(groups: Sequence[Group]) -> dict[str, int]:
    """About how many tokens each model will read, by its account."""
    if len(groups) == 1:
        return {groups[0].account: _of(groups[0])}
    tokens: dict[str, int] = {}
    for group in groups:
        tokens[group.account] = tokens.get(group.account, 0) + _of(group)
    return tokens


def _of(group: Group) -> int:
    if group.reads == "image":
        return _IMAGE_TOKENS * len(group.inputs)
    inputs, window = group.inputs, group.card.context_window or math.inf
    if len(inputs) == 1:
        return int(min(window, len(inputs[0]) / _CHARACTERS_A_TOKEN + 2))
    lengths = [len(text) for text in inputs]
    if max(lengths, default=0) / _CHARACTERS_A_TOKEN + 2 <= window:
        return int(sum(lengths) / _CHARACTERS_A_TOKEN + 2 * len(lengths))
    return int(sum([min(length / _CHARACTERS_A_TOKEN + 2, window) for length in lengths]))
