"""What has to be computed for a request: its slots, grouped by model and options, without duplicates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Union

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


@dataclass
class Group:
    """Inputs for one model with equal options: texts with their prefixes, images as URL or base64, or pairs.

    No input stands in `inputs` twice; every slot that wants it has its own use. `key` is for an external provider.
    `card` is that of the network; `kinds` are those of the vectors of each input, if it is not the card's own alone.
    """

    card: ModelCard
    direction: Direction
    options: Mapping[str, Any]
    reads: Reads
    key: ProviderKey | None = None
    kinds: tuple[VectorKind, ...] = ()
    inputs: list[Data] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    _positions: dict[Data, int] = field(default_factory=dict)

    def add(self, slot: Slot, data: Data, mrl: int | None, kind: VectorKind) -> None:
        """Take on a slot; an input that is here already is not added again."""
        following = len(self.inputs)
        position = self._positions.setdefault(data, following)
        if position == following:
            self.inputs.append(data)
        self.uses.append(Use(slot, position, mrl, kind))

    def where(self, position: int) -> str:
        """Where in the request the input at `position` stands first."""
        return next(use.slot.where for use in self.uses if use.position == position)


def plan(
    slots: Iterable[Slot],
    direction: Direction,
    catalogue: Catalogue,
    keys: KeyRing = NO_KEYS,
    *,
    any_mrl: bool = False,
) -> list[Group]:
    """Group the slots by what can be computed together. `keys` are the caller's, for external providers.

    `any_mrl` allows to cut the vectors of models that were not trained for it.

    Raises:
        UnknownModel, WrongInput, BadOption, Forbidden: each names the place in the request.
    """
    groups: dict[_Key, Group] = {}
    opened: dict[tuple[str, bytes, str], _Opened] = {}
    asked = _Asked(direction, catalogue, keys, any_mrl)
    for slot in slots:
        # Hundreds of slots say the same; what they say is looked up and checked once.
        wanted = slot.wanted
        options = wanted.options
        said = wanted.model, as_key(options, slot) if options else b"", wanted.input
        here = opened.get(said)
        if here is None:
            here = opened[said] = _open(slot, asked, groups)
        here.group.add(slot, _input(slot, here), here.mrl, here.kind)
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
        empty = replace(group, kinds=() if own else kinds, inputs=[], uses=[], _positions={})
        parts.setdefault(kinds, empty).add(use.slot, group.inputs[use.position], use.mrl, use.kind)
    return list(parts.values())


def objects_by_model(groups: Iterable[Group]) -> dict[str, int]:
    """How many inference objects there are for each model, by its account; equal ones count each."""
    objects: dict[str, int] = {}
    for group in groups:
        objects[group.card.account] = objects.get(group.card.account, 0) + len(group.uses)
    return objects


_Key = tuple[str, bytes, Reads, bytes]
"""What a group has in common: the model, the options, what is read, and a digest of the provider's key."""


@dataclass(slots=True, eq=False)
class _Opened:
    """The group of some slots, the length to cut their vectors to, and what their inputs have to be.

    `characters` is how long a text may be; `prefix` is what the model wants to read before it.
    """

    group: Group
    card: ModelCard
    kind: VectorKind
    mrl: int | None
    reads: Sequence[str]
    characters: float
    prefix: str


class _Asked(NamedTuple):
    """What holds for all slots of a request."""

    direction: Direction
    catalogue: Catalogue
    keys: KeyRing
    any_mrl: bool


def _open(slot: Slot, asked: _Asked, groups: dict[_Key, Group]) -> _Opened:
    """The group of a slot's model and options, a new one if there is none yet."""
    where = slot.where
    card = asked.catalogue.find_one(slot.wanted.model, where)
    options, given = without_keys(slot.wanted.options)
    if given and card.provider is None:
        check_options(card, dict.fromkeys(given), where)  # by their names: no key goes into a cache of options
    options = {name: _whole(value) for name, value in options.items()}
    mrl = None if card.family == "bm25" else _mrl(options.pop("mrl", None), card, where, any_mrl=asked.any_mrl)
    prefix = prefix_of(card, asked.direction, _instruction(options, card, asked.direction, where))
    own = checked(card, options, where)
    key = asked.keys.key(card, given, where)
    reads: Reads = "image" if slot.wanted.input == "image" and "image" in card.reads else card.modality
    network = card if card.network == card.name else asked.catalogue.find(card.network, where)
    place = card.network, own.key, reads, digest(key)
    group = groups.setdefault(place, Group(network, asked.direction, own.options, reads, key))
    characters = math.inf if own.longest_text is None else own.longest_text
    return _Opened(group, card, card.vector_kind, mrl, card.reads, characters, prefix)


def _whole(value: Any) -> Any:
    """Numbers of gRPC's `Value` and of some languages' JSON are doubles: `64.0` is 64."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _input(slot: Slot, opened: _Opened) -> Data:
    wanted = slot.wanted
    data = wanted.data
    if opened.kind == "sparse" and not slot.named:
        raise WrongInput(
            f"{slot.where}: {opened.card.name} gives sparse vectors, which Qdrant stores under a name only: name "
            "the vector (in a query: 'using')"
        )
    if wanted.input not in opened.reads:
        raise _wrong_kind(slot, opened)
    if not isinstance(data, str):
        if isinstance(data, Pair):
            return data
        raise WrongInput(f"{slot.where}.{wanted.input}: expected a string")
    if wanted.input == "image":
        return data
    if len(data) > opened.characters:
        raise WrongInput(
            f"{slot.where}.text: has {len(data)} characters; at most {opened.characters} are allowed with its options"
        )
    return data if data.startswith(opened.prefix) else opened.prefix + data


def _wrong_kind(slot: Slot, opened: _Opened) -> WrongInput:
    if slot.wanted.input == "object":
        return WrongInput(f"{slot.where}: 'object' is reserved; no model takes it: send 'text' or 'image'")
    if opened.card.vector_kind == "score":
        return WrongInput(f"{slot.where}: {opened.card.name} is a reranker, without vectors: POST /v2/rerank")
    name, reads = opened.card.name, "' and '".join(opened.reads)
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
