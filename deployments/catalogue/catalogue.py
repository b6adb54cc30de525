"""The model catalogue: the models by name, read from a YAML file and those that it includes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from pydantic import Field

from deployments.catalogue.card import ANY, FolderSource, HeadCard, ModelCard, RoutedCard, Source, head_cards, routed
from deployments.catalogue.records import Record, from_file
from deployments.errors import ConfigError, UnknownModel

_PACKAGE = Path(__file__).resolve().parents[1]

HOME = _PACKAGE if (_PACKAGE / "configs").is_dir() else _PACKAGE.parent
"""Where `configs/` lies: in this package if it was installed, else in the clone. Relative paths in a Serve config file
start here."""

_SHOWN = 100
"""How many characters of a name that nobody knows are repeated in an error."""

_A_PROVIDERS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}")
"""What a provider's own name of a model may be."""


_NONE: Mapping[str, str] = MappingProxyType({})


class Catalogue:
    """The models by name and alias, whatever their case."""

    def __init__(self, cards: tuple[ModelCard, ...], path: Path, not_yet: Mapping[str, str] = _NONE) -> None:
        """`not_yet` are models that people know and that cannot be served, with the reason.

        Each card is followed by those of its heads, whether they are among `cards` or not.
        """
        self.cards = tuple(one for card in cards if not isinstance(card, HeadCard) for one in (card, *head_cards(card)))
        self.path = path
        self.not_yet = not_yet
        self._by_name: dict[str, ModelCard] = {}
        for card in self.cards:
            for name in (card.name, *card.aliases):
                if self._by_name.setdefault(name.lower(), card) is not card:
                    raise ConfigError(f"{path}: two models answer to the name '{name}'")
        self._reasons = {name.lower(): reason for name, reason in not_yet.items()}

    def __iter__(self) -> Iterator[ModelCard]:
        return iter(self.cards)

    def __len__(self) -> int:
        return len(self.cards)

    def only(self, names: Iterable[str]) -> Catalogue:
        """The catalogue of just these models, of which each is here."""
        chosen = {card.network for name in names if (card := self._by_name.get(name.lower()))}
        return Catalogue(tuple(card for card in self.cards if card.name in chosen), self.path, self.not_yet)

    def and_routes(self, routes: Iterable[RoutedCard]) -> Catalogue:
        """The catalogue, and all models of some providers."""
        return Catalogue((*self.cards, *routes), self.path, self.not_yet)

    def has(self, name: str) -> bool:
        """Whether a model answers to a name; routes stand for their own only."""
        return name.lower() in self._by_name

    def find(self, name: str, where: str) -> ModelCard:
        """The model called `name`, or the route (`openai/*`).

        Raises:
            UnknownModel: names `where` in the request it stood and the models there are, nearest first, or why there is
                none of this name yet.
        """
        card = self._by_name.get(name.lower())
        if card is not None:
            return card
        if reason := self._reasons.get(name.lower()):
            raise UnknownModel(f"{where}: {_shortened(name)} cannot be served yet: {reason}")
        return self._routed(name, where)

    def find_one(self, name: str, where: str) -> ModelCard:
        """The model called `name`, which is no route.

        Raises:
            UnknownModel: as `find`, or that a model's name has to stand in place of the star.
        """
        card = self.find(name, where)
        if isinstance(card, RoutedCard) and card.is_route:
            raise UnknownModel(f"{where}: {card.name} stands for all models of a provider; put one's name for the star")
        return card

    def _routed(self, name: str, where: str) -> ModelCard:
        """The model of an external provider that needs no entry."""
        prefix, _, model = name.partition("/")
        card = self._by_name.get(f"{prefix}/{ANY}".lower())
        if not isinstance(card, RoutedCard):
            raise UnknownModel(f"{where}: no model '{_shortened(name)}' here; available: {self._nearest(name)}")
        if not _A_PROVIDERS.fullmatch(model):
            raise UnknownModel(f"{where}: '{_shortened(name)}' is no name of a model")
        return routed(card, model)

    def _nearest(self, name: str) -> str:
        def likeness(card: ModelCard) -> float:
            return difflib.SequenceMatcher(None, name.lower()[:200], card.name.lower()).ratio()

        return ", ".join(card.name for card in sorted(self.cards, key=likeness, reverse=True))


def _shortened(name: str) -> str:
    return name if len(name) <= _SHOWN else name[:_SHOWN] + "..."


class _CatalogueFile(Record):
    include: tuple[Path, ...] = ()
    models: tuple[ModelCard, ...] = ()
    not_yet: dict[str, str] = Field(default_factory=dict)


def locate(path: str | Path) -> Path:
    """A path of a Serve config file; a relative one starts at `HOME`."""
    return HOME / path


@lru_cache
def load(path: str | Path) -> Catalogue:
    """Read a catalogue, those first that it includes.

    Raises:
        ConfigError: names the file, the key, and what was expected there.
    """
    path = locate(path)
    files = list(_files(path, ()))
    cards = tuple(_anchored(card, at.parent) for at, file in files for card in file.models)
    return Catalogue(cards, path, {name: why for _, file in files for name, why in file.not_yet.items()})


def _files(path: Path, including: tuple[Path, ...]) -> Iterator[tuple[Path, _CatalogueFile]]:
    """A file after those that it includes, with their paths; `including` are the files that lead to it."""
    if path in including:
        raise ConfigError(f"{path}: include: the file includes itself, by way of {including[-1]}")
    file = from_file(_CatalogueFile, path)
    for other in file.include:
        yield from _files(_included(other.expanduser(), path.parent), (*including, path))
    yield path, file


def _included(other: Path, folder: Path) -> Path:
    """A relative path starts at the including file's folder; what is not there may come with the project."""
    beside, shipped = folder / other, locate(other)
    return (shipped if shipped.exists() and not beside.exists() else beside).resolve()


def _anchored(card: ModelCard, folder: Path) -> ModelCard:
    """The card with relative folders of its sources made absolute."""

    def anchor(source: Source) -> Source:
        if isinstance(source, FolderSource):
            return source.model_copy(update={"folder": folder / source.folder.expanduser()})
        return source

    return card.model_copy(update={"sources": tuple(anchor(source) for source in card.sources)})
