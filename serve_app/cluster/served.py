"""The models that are served now: those of the Serve config file, and those that were added since."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from deployments.catalogue.card import ModelCard
from deployments.catalogue.catalogue import Catalogue
from deployments.contract import Batch, Embeddings, Model
from deployments.errors import AlreadyThere, ConfigError
from serve_app.ledger.additions import Addition, AdditionBoard

log = logging.getLogger("ray.serve")


class Place(NamedTuple):
    """Where a model's deployment is: in which application (None: in the gateway's own), and under which name."""

    application: str | None
    deployment: str


Connect = Callable[[ModelCard, Place], Model]
"""Makes the way to a model of an application of its own."""


class LiveCatalogue(Catalogue):
    """A catalogue that gets and loses models. Who looks at it twice may see two states."""

    def __init__(self, fixed: Catalogue) -> None:
        super().__init__(fixed.cards, fixed.path, fixed.not_yet)
        self.fixed = fixed

    def turn(self, added: tuple[ModelCard, ...]) -> None:
        """Have the models that are always there, and these.

        Raises:
            ConfigError: two answer to one name; all stays as it was.
        """
        whole = self.with_added(added)
        self.cards, self._by_name = whole.cards, whole._by_name  # noqa: SLF001  a catalogue, as this one is

    def with_added(self, added: tuple[ModelCard, ...]) -> Catalogue:
        """What it would be with these models beside those that are always there.

        Raises:
            ConfigError: two answer to one name.
        """
        return Catalogue((*self.fixed.cards, *added), self.path)


class ServedModels:
    """The catalogue, and the ways to its models; all of them change in one step when the ledger tells of a change."""

    def __init__(self, fixed: Catalogue, models: Mapping[str, Model], board: AdditionBoard, connect: Connect) -> None:
        """`models` are the ways to those of `fixed` that have replicas here."""
        self.catalogue = LiveCatalogue(fixed)
        self.models: dict[str, Model] = dict(models)
        self.calls: dict[str, Callable[[Batch], Awaitable[Embeddings]]] = {n: m.embed for n, m in models.items()}
        self.places = {card.account: Place(None, card.deployment) for card in fixed}
        self._board = board
        self._connect = connect
        self._added: dict[str, ModelCard] = {}
        board.follow(self._turn)

    def expect_new(self, cards: tuple[ModelCard, ...], addition: str) -> None:
        """Make sure that no other model answers to the names of these.

        Raises:
            AlreadyThere: one does.
        """
        others = [one for one in self._board.current.values() if one.name != addition and one.state != "failed"]
        taken = [card for other in others for card in other.cards if not self.catalogue.fixed.has(card.name)]
        try:
            self.catalogue.with_added((*taken, *cards))
        except ConfigError as error:
            raise AlreadyThere(str(error).partition(": ")[2]) from error

    def _turn(self) -> None:
        wanted = dict(self._wanted())
        for name in self._added.keys() - wanted.keys():
            del self.models[name], self.calls[name], self.places[name], self._added[name]
        for name, (card, place) in wanted.items():
            if self._added.get(name) != card:
                model = self._connect(card, place)
                self.models[name], self.calls[name], self.places[name] = model, model.embed, place
                self._added[name] = card

    def _wanted(self) -> list[tuple[str, tuple[ModelCard, Place]]]:
        """All added models that are ready, but those whose names the Serve config file has taken meanwhile."""
        wanted: list[tuple[str, tuple[ModelCard, Place]]] = []
        cards: tuple[ModelCard, ...] = ()
        for addition in self._board.current.values():
            if addition.state != "ready":
                continue
            try:
                self.catalogue.turn((*cards, *addition.cards))
            except ConfigError as error:
                log.warning("the added model '%s' is left out: %s", addition.name, error)
                continue
            cards = *cards, *addition.cards
            wanted += [(card.name, (card, Place(application(addition), card.deployment))) for card in addition.cards]
        self.catalogue.turn(cards)
        return wanted


def application(addition: Addition) -> str:
    """The name of the Serve application of an addition."""
    return PREFIX + addition.name.replace("/", "--")


PREFIX = "added--"
"""How the names of the applications of added models begin."""
