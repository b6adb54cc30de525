"""The model catalogue: what each model is, as frozen records read from a YAML file.

A catalogue says nothing of replicas, threads or precision; those are settings of the deployment (Serve config file).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deployments.errors import ConfigError, UnknownModel

HOME = Path(__file__).resolve().parent.parent
"""The project's folder; relative paths in a Serve config file start here."""

_SHOWN = 100
"""How many characters of a name that nobody knows are repeated in an error."""

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


R = TypeVar("R", bound=BaseModel)


class Record(BaseModel):
    """A frozen record that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


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


class Catalogue:
    """The models by name and alias, whatever their case."""

    def __init__(self, cards: tuple[ModelCard, ...], path: Path) -> None:
        self.cards = cards
        self.path = path
        self._by_name: dict[str, ModelCard] = {}
        for card in cards:
            for name in (card.name, *card.aliases):
                if self._by_name.setdefault(name.lower(), card) is not card:
                    raise ConfigError(f"{path}: two models answer to the name '{name}'")

    def __iter__(self) -> Iterator[ModelCard]:
        return iter(self.cards)

    def __len__(self) -> int:
        return len(self.cards)

    def only(self, names: Iterable[str]) -> Catalogue:
        """The catalogue of just these models, of which each is here."""
        chosen = set(names)
        return Catalogue(tuple(card for card in self.cards if card.name in chosen), self.path)

    def find(self, name: str, where: str) -> ModelCard:
        """The model called `name`.

        Raises:
            UnknownModel: names `where` in the request it stood and the models there are, nearest first.
        """
        card = self._by_name.get(name.lower())
        if card is None:
            raise UnknownModel(f"{where}: no model '{_shortened(name)}' here; available: {self._nearest(name)}")
        return card

    def _nearest(self, name: str) -> str:
        def likeness(card: ModelCard) -> float:
            return difflib.SequenceMatcher(None, name.lower()[:200], card.name.lower()).ratio()

        return ", ".join(card.name for card in sorted(self.cards, key=likeness, reverse=True))


def _shortened(name: str) -> str:
    return name if len(name) <= _SHOWN else name[:_SHOWN] + "..."


class _CatalogueFile(Record):
    include: tuple[Path, ...] = ()
    models: tuple[ModelCard, ...] = ()


def locate(path: str | Path) -> Path:
    """A path of a Serve config file; a relative one starts at the project's folder."""
    return HOME / path


@lru_cache
def load(path: str | Path) -> Catalogue:
    """Read a catalogue, those first that it includes.

    Raises:
        ConfigError: names the file, the key, and what was expected there.
    """
    path = locate(path)
    return Catalogue(tuple(_cards(path, ())), path)


def _cards(path: Path, including: tuple[Path, ...]) -> Iterator[ModelCard]:
    """The models of a file; `including` are the files that lead to it. A relative path starts at the file's folder."""
    if path in including:
        raise ConfigError(f"{path}: include: the file includes itself, by way of {including[-1]}")
    file = from_file(_CatalogueFile, path)
    for other in file.include:
        yield from _cards((path.parent / other.expanduser()).resolve(), (*including, path))
    for card in file.models:
        yield _anchored(card, path.parent)


def _anchored(card: ModelCard, folder: Path) -> ModelCard:
    """The card with relative folders of its sources made absolute."""

    def anchor(source: Source) -> Source:
        if isinstance(source, FolderSource):
            return source.model_copy(update={"folder": folder / source.folder.expanduser()})
        return source

    return card.model_copy(update={"sources": tuple(anchor(source) for source in card.sources)})


def validated(model: type[R], content: Any, where: str) -> R:
    """A record made of what a configuration says.

    Raises:
        ConfigError: names `where` it was said, each wrong key, and what was expected there.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{where}: {explain(error)}") from error


def from_file(model: type[R], path: Path) -> R:
    """A record made of a YAML file.

    Raises:
        ConfigError: names the file, the key, and what was expected there.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return validated(model, content, str(path))


def explain(error: ValidationError) -> str:
    """A validation error in one line: each wrong key with what was expected of it."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'top level'}: {item['msg']}" for item in error.errors()
    )
