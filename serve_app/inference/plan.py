"""What has to be computed for a request: its slots, grouped by model and options, without duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

from deployments.catalogue.card import ModelCard
from deployments.catalogue.catalogue import Catalogue
from deployments.catalogue.options import as_key, check_options, checked
from deployments.contract import Direction, Pair, ProviderKey, Reads
from deployments.errors import BadOption, WrongInput
from deployments.kinds import VectorKind
from serve_app.inference.objects import Slot
from serve_app.inference.provider_keys import NO_KEYS, KeyRing, digest, without_keys

MOST_DIMENSIONS = 65_536
"""Of a vector in Qdrant; how long a provider's are is known when they are there."""


Data = Union[str, Pair]


@dataclass(slots=True, eq=False)
class Use:
    """One slot's share in a group: the position of its input there, and the length to cut its vector to.

    `kind` is that of the vector that it wants.
    """

    slot: Slot
    position: int
    mrl: int | None
    kind: VectorKind


class Group:
    """Inputs for one model with equal options: texts with their prefixes, images as URL or base64, or pairs.

    No input stands in `inputs` twice; every slot that wants it has its own use. `key` is for an external provider.
    `card` is that of the network, and `account` the name under which its use is counted; `kinds` are those of the
    vectors of each input, if it is not the card's own alone.
    """

    __slots__ = ("_positions", "account", "card", "direction", "inputs", "key", "kinds", "options", "reads", "uses")

    def __init__(  # noqa: PLR0913  what inputs have in common
        self,
        card: ModelCard,
        direction: Direction,
        options: Mapping[str, Any],
        reads: Reads,
        key: ProviderKey | None = None,
        *,
        kinds: tuple[VectorKind, ...] = (),
        inputs: Sequence[Data] = (),
        account: str | None = None,
    ) -> None:
        self.card = card
        self.direction = direction
        self.options = options
        self.reads = reads
        self.key = key
        self.kinds = kinds
        self.inputs: list[Data] = [*inputs]
        self.uses: list[Use] = []
        self.account = account or card.account
        self._positions: dict[Data, int] = {}

    def add(self, slot: Slot, data: Data, mrl: int | None, kind: VectorKind) -> None:
        """Take on a slot; an input that is here already is not added again."""
        positions = self._positions
        if data not in positions:
            positions[data] = len(self.inputs)
            self.inputs.append(data)
        self.uses.append(Use(slot, positions[data], mrl, kind))

    @property
    def as_json(self) -> bool:
        """Whether its vectors may be written as JSON where they are made: they are to be stored as they are."""
        if self.direction == "search" or self.kinds:
            return False
        return all(use.slot.in_json and use.mrl is None for use in self.uses)

    def where(self, position: int) -> str:
        """Where in the request the input at `position` stands first."""
        return next(use.slot.where for use in self.uses if use.position == position)


def plan(  # noqa: PLR0913  what is asked, of what there is
    slots: Iterable[Slot],
    direction: Direction,
    catalogue: Catalogue,
    keys: KeyRing = NO_KEYS,
    *,
    any_mrl: bool = False,
    recipes: Recipes | None = None,
) -> list[Group]:
    """Group the slots by what can be computed together. `keys` are the caller's, for external providers.

    `any_mrl` allows to cut the vectors of models that were not trained for it. `recipes` are those that are known.

    Raises:
        UnknownModel, WrongInput, BadOption, Forbidden: each names the place in the request.
    """
    groups: dict[_Place, Group] = {}
    opened: dict[_Said, tuple[Group, Recipe]] = {}
    recipes = recipes or Recipes()
    for slot in slots:
        # Hundreds of slots say the same; what they say is looked up and checked once.
        wanted = slot.wanted
        options = wanted.options
        said = wanted.model, as_key(options, slot) if options else b"", wanted.input, direction, any_mrl
        if said not in opened:
            recipe = recipes.of(said, slot, catalogue, keys)
            if recipe.place not in groups:
                groups[recipe.place] = Group(
                    recipe.network, direction, recipe.options, recipe.reads, recipe.key, account=recipe.account
                )
            opened[said] = groups[recipe.place], recipe
        group, recipe = opened[said]
        group.add(slot, _input(slot, recipe), recipe.mrl, recipe.kind)
    return [part for group in groups.values() for part in (by_kinds(group) if group.card.heads else (group,))]


def by_kinds(group: Group) -> list[Group]:
    """A group in parts, whose inputs want the same kinds of vectors: the network runs once for each input."""
    wanted: dict[int, set[VectorKind]] = {}
    for use in group.uses:
        wanted.setdefault(use.position, set()).add(use.kind)
    parts: dict[tuple[VectorKind, ...], Group] = {}
    for use in group.uses:
        kinds = tuple(sorted(wanted[use.position]))
        own = kinds == (group.card.vector_kind,)
        empty = Group(group.card, group.direction, group.options, group.reads, group.key, kinds=() if own else kinds)
        parts.setdefault(kinds, empty).add(use.slot, group.inputs[use.position], use.mrl, use.kind)
    return list(parts.values())


def objects_by_model(groups: Iterable[Group]) -> dict[str, int]:
    """How many inference objects there are for each model, by its account; equal ones count each."""
    objects: dict[str, int] = {}
    for group in groups:
        count = len(group.uses)
        objects[group.account] = objects[group.account] + count if group.account in objects else count
    return objects


_Said = tuple[str, bytes, str, Direction, bool]
"""What a slot says: the model, the options as JSON, the kind of input; the direction, and whether `any_mrl` holds."""

_Place = tuple[str, bytes, Reads, bytes]
"""What a group has in common: the model, the options, what is read, and a digest of the provider's key."""


@dataclass(slots=True, eq=False)
class Recipe:
    """What becomes of slots that say the same: of whose group they are, and what holds for each of them.

    `network` to `key` are the group's. `takes` are the kinds of inputs that the model reads, `characters` is how long a
    text may be, `prefix` is what the model wants to read before it, and `mrl` the length to cut its vector to.
    """

    place: _Place
    network: ModelCard
    account: str
    options: Mapping[str, Any]
    reads: Reads
    key: ProviderKey | None
    card: ModelCard
    kind: VectorKind
    mrl: int | None
    takes: Sequence[str]
    characters: int | None
    prefix: str


_MOST_RECIPES = 1000
_USUAL_OPTIONS = 500
"""Bytes of options up to which a recipe is kept, so that none fills the memory."""


class Recipes:
    """The recipes that are known, of models of one catalogue as it is now; none holds a key or the like of a caller."""

    def __init__(self) -> None:
        self._kept: dict[_Said, Recipe] = {}
        self._cards: Sequence[ModelCard] = ()

    def of(self, said: _Said, slot: Slot, catalogue: Catalogue, keys: KeyRing) -> Recipe:
        """The recipe of a slot that says this.

        Raises:
            UnknownModel, BadOption, Forbidden: see `plan`.
        """
        if self._cards is not catalogue.cards:  # a model came or went
            self._kept.clear()
            self._cards = catalogue.cards
        if said in self._kept:
            return self._kept[said]
        recipe = _recipe(said, slot, catalogue, keys)
        if recipe.network.provider is None and len(said[1]) <= _USUAL_OPTIONS:
            if len(self._kept) >= _MOST_RECIPES:
                self._kept.clear()
            self._kept[said] = recipe
        return recipe


def _recipe(said: _Said, slot: Slot, catalogue: Catalogue, keys: KeyRing) -> Recipe:
    *_, direction, any_mrl = said
    where = slot.where
    card = catalogue.find_one(slot.wanted.model, where)
    options, given = without_keys(slot.wanted.options)
    if given and card.provider is None:
        check_options(card, dict.fromkeys(given), where)  # by their names: no key goes into a cache of options
    options = {name: _whole(value) for name, value in options.items()}
    mrl = None if card.family == "bm25" else _mrl(options.pop("mrl", None), card, where, any_mrl=any_mrl)
    prefix = prefix_of(card, direction, _instruction(options, card, direction, where))
    own = checked(card, options, where)
    key = keys.key(card, given, where)
    reads: Reads = "image" if slot.wanted.input == "image" and "image" in card.reads else card.modality
    network = card if card.network == card.name else catalogue.find(card.network, where)
    place = card.network, own.key, reads, digest(key)
    return Recipe(
        place,
        network,
        network.account,
        own.options,
        reads,
        key,
        card,
        card.vector_kind,
        mrl,
        card.reads,
        own.longest_text,
        prefix,
    )


def _whole(value: Any) -> Any:
    """Numbers of gRPC's `Value` and of some languages' JSON are doubles: `64.0` is 64."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _input(slot: Slot, recipe: Recipe) -> Data:
    wanted = slot.wanted
    data = wanted.data
    if recipe.kind == "sparse" and not slot.named:
        raise WrongInput(
            f"{slot.where}: {recipe.card.name} gives sparse vectors, which Qdrant stores under a name only: name "
            "the vector (in a query: 'using')"
        )
    if wanted.input not in recipe.takes:
        raise _wrong_kind(slot, recipe)
    if not isinstance(data, str):
        if isinstance(data, Pair):
            return data
        raise WrongInput(f"{slot.where}.{wanted.input}: expected a string")
    if wanted.input == "image":
        return data
    if recipe.characters is not None and len(data) > recipe.characters:
        raise WrongInput(
            f"{slot.where}.text: has {len(data)} characters; at most {recipe.characters} are allowed with its options"
        )
    return data if not recipe.prefix or data.startswith(recipe.prefix) else recipe.prefix + data


def _wrong_kind(slot: Slot, recipe: Recipe) -> WrongInput:
    if slot.wanted.input == "object":
        return WrongInput(f"{slot.where}: 'object' is reserved; no model takes it: send 'text' or 'image'")
    if recipe.card.vector_kind == "score":
        return WrongInput(f"{slot.where}: {recipe.card.name} is a reranker, without vectors: POST /v2/rerank")
    name, reads = recipe.card.name, "' and '".join(recipe.takes)
    return WrongInput(f"{slot.where}: {name} takes '{reads}', not '{slot.wanted.input}'")


def prefix_of(card: ModelCard, direction: Direction, instruction: str | None = None) -> str:
    """What the model wants to read before a text, if the text does not begin with it."""
    if direction == "update":
        return card.prefixes.passage
    return card.instruction.prefix(instruction) if card.instruction else card.prefixes.query


def _instruction(options: dict[str, Any], card: ModelCard, direction: Direction, where: str) -> str | None:
    """What the options say about the queries, taken out of them; None for what the model is told otherwise."""
    if card.instruction is None or options.get("instruction") is None:
        return None
    said = options.pop("instruction")
    if direction == "update":
        raise BadOption(f"{where}.options.instruction: it is for texts to search with, not for those to be stored")
    if not isinstance(said, str):
        raise BadOption(f"{where}.options.instruction: expected a string")
    return said


def _mrl(value: Any, card: ModelCard, where: str, *, any_mrl: bool) -> int | None:
    """The length that a vector is to be cut to (matryoshka representation learning).

    Between the lengths that it was trained for, a model is nearly as good (Kusupati et al. 2022).
    """
    if value is None:
        return None
    longest = card.dimensions or (MOST_DIMENSIONS if card.provider else None)
    if card.vector_kind != "dense" or longest is None:
        raise BadOption(f"{where}.options.mrl: {card.name} has no vectors of a length that could be cut")
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= longest:
        raise BadOption(f"{where}.options.mrl: expected a whole number from 1 to {longest}")
    shortest = 1 if any_mrl or card.provider else min(card.matryoshka, default=longest)
    if value < shortest:
        what = f"was trained for {shortest} or more" if card.matryoshka else "was not trained to be cut"
        raise BadOption(f"{where}.options.mrl: {card.name} {what}; the setting 'any_mrl' allows it")
    return value
