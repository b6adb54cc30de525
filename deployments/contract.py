"""What crosses the Serve call between the gateway and a model: one batch out, its embeddings back.

Arrays travel as numpy, never as lists of floats. Everything here pickles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, Protocol, Union

import numpy as np
import numpy.typing as npt
import orjson
from pydantic import SecretStr

from deployments.kinds import VectorKind

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

Reads = Literal["text", "image", "pair"]
"""What inputs are."""

Fit = Literal["crop", "stretch"]
"""How a picture becomes a square: its short side as long as the square's, and the middle taken; or both sides."""

Resample = Literal["bicubic", "bilinear"]
"""How its pixels are interpolated."""

Direction = Literal["update", "search"]
"""Whether vectors are made to be stored or to search with; the words of Qdrant's inference-service protocol."""


@dataclass(frozen=True)
class SparseVector:
    """One sparse vector: `indices` uint32 `[k]`, ascending and unique, and their `values` float32 `[k]`."""

    indices: npt.NDArray[np.uint32]
    values: Floats


Vector = Union[Floats, SparseVector]
"""One input's result: dense float32 `[dimensions]`, multivector float32 `[tokens, dimensions]`, sparse, or the score of
a pair, float32 `[1]`."""


@dataclass(frozen=True)
class DenseVectors:
    """Dense vectors, one row an input: float32 `[n, dimensions]`."""

    rows: Floats

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> Floats:
        row: Floats = self.rows[position]
        return row

    def __iter__(self) -> Iterator[Floats]:
        """All, in their order; sooner than one by one."""
        return iter(self.rows)


@dataclass(frozen=True)
class SparseVectors:
    """Sparse vectors laid end to end; input i has the entries from `offsets[i]` to `offsets[i + 1]`.

    `indices` uint32 `[sum of k]`, `values` float32 `[sum of k]`, `offsets` int64 `[n + 1]`.
    """

    indices: npt.NDArray[np.uint32]
    values: Floats
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, position: int) -> SparseVector:
        part = slice(self.offsets[position], self.offsets[position + 1])
        return SparseVector(self.indices[part], self.values[part])

    def __iter__(self) -> Iterator[SparseVector]:
        for begin, end in pairwise(self.offsets.tolist()):
            yield SparseVector(self.indices[begin:end], self.values[begin:end])


@dataclass(frozen=True)
class MultiVectors:
    """Multivectors laid end to end: `rows` float32 `[sum of tokens, dimensions]`, `offsets` int64 `[n + 1]`."""

    rows: Floats
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, position: int) -> Floats:
        part: Floats = self.rows[self.offsets[position] : self.offsets[position + 1]]
        return part

    def __iter__(self) -> Iterator[Floats]:
        for begin, end in pairwise(self.offsets.tolist()):
            yield self.rows[begin:end]


@dataclass(frozen=True)
class JoinedVectors:
    """Several vectors of each input: of each kind that the batch asks for, those of all inputs, in that order."""

    parts: tuple[Union[DenseVectors, SparseVectors, MultiVectors], ...]

    def __len__(self) -> int:
        return len(self.parts[0])

    def __getitem__(self, position: int) -> Any:
        """A tuple of vectors, one of each kind: to who hands them on, one result like any other."""
        return tuple(part[position] for part in self.parts)

    def __iter__(self) -> Iterator[Any]:
        return zip(*self.parts, strict=True)


@dataclass(frozen=True)
class JsonVectors:
    """Vectors of any kind that are written already: each a text of JSON, as Qdrant's REST API has it."""

    texts: Sequence[bytes]

    @staticmethod
    def text(vector: Vector) -> bytes:
        """One vector with the fewest decimals that are the same float32; a sparse one is an object of its fields."""
        return orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY, default=np.ascontiguousarray)

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, position: int) -> Any:
        """What orjson puts into JSON as it is: to who hands them on, one result like any other."""
        return orjson.Fragment(self.texts[position])

    def __iter__(self) -> Iterator[Any]:
        return map(orjson.Fragment, self.texts)


Vectors = Union[DenseVectors, SparseVectors, MultiVectors, JoinedVectors, JsonVectors]


@dataclass(frozen=True)
class Pair:
    """A query and a document: a reranker tells how well one answers the other. Its length is in characters, of both."""

    query: str
    document: str

    def __len__(self) -> int:
        return len(self.query) + len(self.document)


@dataclass(frozen=True)
class Batch:
    """What a model is asked to embed in one call: inputs of one direction with equal options.

    `inputs` are texts (prefixes already added), for an image model decoded images, each uint8 `[height, width, 3]` of
    the model's own size, or for a reranker pairs. `options` are the model's own, already checked. `kinds` are those of
    the vectors wanted of each input, if it is not the model's own alone: then its embeddings are `JoinedVectors`.
    `as_json`: they may be `JsonVectors`, since nobody reads them before Qdrant does.
    """

    inputs: Sequence[str] | Sequence[Pixels] | Sequence[Pair]
    direction: Direction
    options: Mapping[str, Any] = field(default_factory=dict)
    kinds: tuple[VectorKind, ...] = ()
    as_json: bool = False

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def reads(self) -> Reads:
        """What the inputs are, all of one kind."""
        first = self.inputs[0]
        return "text" if isinstance(first, str) else "pair" if isinstance(first, Pair) else "image"


@dataclass(frozen=True)
class Embeddings:
    """A batch's results in the order of its inputs.

    `tokens` int64 `[n]` is what the model read, special tokens included (for images: patches and class token);
    `truncated` counts the inputs that were longer than the context window.
    """

    vectors: Vectors
    tokens: npt.NDArray[np.int64]
    truncated: int = 0

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True)
class Explanation:
    """How a model reads a text.

    `spans[i]` is where token i stands in the text, in code points; special tokens stand nowhere. `truncated_at` is
    where the model stopped reading, `cut` how many tokens came after that. `words` says what entries of a sparse vector
    stand for, by their index, if that is known.
    """

    tokens: Sequence[str]
    spans: Sequence[tuple[int, int] | None]
    truncated_at: int | None = None
    cut: int = 0
    words: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Running:
    """How a replica runs its model; BM25 has neither provider nor precision."""

    provider: str | None
    precision: str | None


class Model(Protocol):
    """What the gateway needs of a model, wherever it runs: in a replica here, or behind somebody's HTTP API.

    Raises (every method):
        InferenceError: the model cannot do this, or not now.
    """

    async def embed(self, batch: Batch) -> Embeddings:
        """The embeddings of a batch."""

    async def running(self) -> Running:
        """How it runs."""

    async def explain(self, batch: Batch, indices: Sequence[Sequence[int]]) -> Sequence[Explanation]:
        """How it reads each text, and what these indices of the text's sparse vector stand for."""

    async def texts(self, ids: Sequence[Sequence[int]]) -> Sequence[str]:
        """The texts that these rows of its token ids stand for."""


ProviderKind = Literal["openai", "cohere", "jina", "openrouter", "tei"]
"""Whose HTTP API an external provider speaks."""


@dataclass(frozen=True)
class Target:
    """A model of an external provider.

    `name` is what the caller asked for, `account` the name under which it is counted, `model` the provider's own;
    `url` is the address below which the provider's API lies. `dimensions` are those of each vector, if they are known;
    `fetches`: the provider may be sent URLs of images, which it fetches itself.
    """

    name: str
    account: str
    kind: ProviderKind
    url: str
    model: str
    dimensions: int | None = None
    fetches: bool = False


@dataclass(frozen=True)
class ProviderKey:
    """The key that an external provider is shown, and whose it is: the text itself, or a variable that holds it."""

    owner: Literal["request", "tenant", "operator"]
    secret: SecretStr | None = field(default=None, repr=False)
    variable: str | None = None


@dataclass(frozen=True)
class ProviderBatch:
    """A batch for an external provider. Images are URLs, data URLs or base64; options have the provider's own names."""

    batch: Batch
    reads: Reads
    target: Target
    key: ProviderKey | None


@dataclass(frozen=True)
class ProviderState:
    """How the calls of an external provider went: whether the last one was answered, and what went wrong last.

    `last_error_at` is in seconds since 1970.
    """

    reachable: bool | None = None
    last_error: str | None = None
    last_error_at: float | None = None


@dataclass(frozen=True)
class ImageBatch:
    """Images to fetch and decode for a model.

    `sources` are URLs or base64 strings, `model` the catalogue's name, `side` that of the square which the model sees,
    in pixels, and `fit` and `resample` say how it is made; `max_bytes` and `max_pixels` are of each image.
    """

    sources: Sequence[str]
    model: str
    side: int
    max_bytes: int
    max_pixels: int
    fit: Fit = "crop"
    resample: Resample = "bicubic"


@dataclass(frozen=True)
class LoadedImages:
    """The decoded images in the order of their sources: uint8 `[height, width, 3]`, or what is wrong with one."""

    images: Sequence[Pixels | str]
