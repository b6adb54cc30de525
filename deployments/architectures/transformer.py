"""What a transformer encoder is made of: records that name the tensors of each part, and how it computes.

An architecture is a function from a `config.json` to a `Transformer` (`architectures/`). A linear layer or a LayerNorm
has a bias if the checkpoint has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Union


@dataclass(frozen=True)
class Norm:
    """How the model normalizes: LayerNorm, or by the root of the mean square (RMSNorm).

    `offset` is added to the weights that are stored.
    """

    kind: Literal["layer", "rms"]
    epsilon: float
    offset: float = 0.0


@dataclass(frozen=True)
class Embedding:
    """The first hidden states: words, and if they are named, positions, segments, and a norm.

    `first_position` is the row of the position table that belongs to a text's first token.
    """

    words: str
    positions: str = ""
    segments: str = ""
    norm: str = ""
    first_position: int = 0
    scale: float = 1.0


@dataclass(frozen=True)
class Rope:
    """Rotary positions (Su et al. 2021): the angles of a step, one for each pair of the two halves of a head."""

    angles: tuple[float, ...]
    positions: int


@dataclass(frozen=True)
class Alibi:
    """A bias that grows with the distance (Press et al. 2021)."""

    heads: int


@dataclass(frozen=True)
class Buckets:
    """A bias learnt for each distance up to `farthest`, in the rows of a `table` (Raffel et al. 2020)."""

    table: str
    positions: int
    farthest: int = 128


@dataclass(frozen=True)
class Sight:
    """Which tokens of its text a token attends to: all, those before it, those at most `window` away."""

    causal: bool = False
    window: int | None = None
    bias: Union[Alibi, Buckets, None] = None


@dataclass(frozen=True)
class Attention:
    """Self-attention.

    `inputs` are the layers of queries, keys and values, whose outputs stand one behind the other; `groups` is how many
    heads of keys and values there are. `norms` are those of each query and key.
    """

    inputs: tuple[str, ...]
    output: str
    heads: int
    size: int
    groups: int
    sight: Sight = Sight()
    rope: Rope | None = None
    norms: tuple[str, str] | None = None
    scale: float | None = None


@dataclass(frozen=True)
class Mlp:
    """The wide layer, its activation, and the narrow one.

    With a gate, `wide` gives twice as many numbers: one half, `activated`, is activated and multiplied by the other.
    """

    wide: tuple[str, ...]
    narrow: str
    activation: str
    activated: Literal["all", "first half", "second half"] = "all"


@dataclass(frozen=True)
class Residual:
    """A part whose result is added to its input; norms before it, on its result, and on the sum, if they are named."""

    part: Union[Attention, Mlp]
    before: str = ""
    inside: str = ""
    after: str = ""


@dataclass(frozen=True)
class MaskedHead:
    """What a model for masked words ends with: a layer with its activation, a norm, and the table of words.

    `decoder` is left out by most checkpoints, because it is the table of input words.
    """

    dense: str
    norm: str
    activation: str
    bias: str
    decoder: str
    unused: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScoreHead:
    """What a model for classification ends with: a layer with its activation, a norm if it is named, and the labels.

    It reads the first hidden state of a text, or the mean of all.
    """

    dense: str
    activation: str
    labels: str
    norm: str = ""
    pooling: Literal["cls", "mean"] = "cls"


@dataclass(frozen=True)
class Transformer:
    """A model.

    Attributes:
        hidden: the size of a hidden state.
        positions: how many tokens it can read.
        final_norm: of the last hidden states.
        head: of a model for masked words, if it is known here.
        scores: the head of a model for classification, if it is known here.
        unused: patterns of tensors that change no hidden state.
        float16: whether it can compute in float16; the hidden states of some are too large for it.
    """

    hidden: int
    positions: int
    embedding: Embedding
    residuals: Sequence[Residual]
    norm: Norm
    final_norm: str = ""
    head: MaskedHead | None = None
    scores: ScoreHead | None = None
    unused: tuple[str, ...] = field(default=())
    float16: bool = True


def rope(theta: float, size: int, positions: int, factor: float = 1.0) -> Rope:
    """Rotary positions of heads of a `size`; `factor` stretches the slow ones (NTK-aware scaling)."""
    base, stretch = theta * factor, factor ** (2 / size)
    return Rope(tuple(1 / base ** (even / size) / stretch for even in range(0, size, 2)), positions)
