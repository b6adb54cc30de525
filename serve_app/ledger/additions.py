"""The models that were added while the service ran: what was asked for, how far each is, and who works at it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Union

from pydantic import Field, ValidationError, model_validator

from deployments.catalogue.card import FolderSource, ModelCard, head_cards
from deployments.catalogue.families import Checkpoint
from deployments.catalogue.records import Record

State = Literal["waiting", "inspecting", "downloading", "checking", "ready", "failed"]
"""How far an addition is. One that is `ready` or `failed` stays so."""

_NAME = r"^[A-Za-z0-9][^#\s\\]*$"

log = logging.getLogger("ray.serve")


class Reserved(Record):
    """What each replica reserves (`ray_actor_options`); `memory` in bytes."""

    num_cpus: float = Field(default=0.1, ge=0, le=1000)
    num_gpus: float = Field(default=0.0, ge=0, le=100)
    memory: int = Field(default=0, ge=0)
    resources: Mapping[str, float] = Field(default={}, max_length=10)


class Scaling(Record):
    """How many replicas (`autoscaling_config`): from none, which is what costs nothing, to one."""

    min_replicas: int = Field(default=0, ge=0, le=1000)
    max_replicas: int = Field(default=1, ge=1, le=1000)
    downscale_delay_s: float = Field(default=300.0, ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> Scaling:
        if self.min_replicas > self.max_replicas:
            raise ValueError("min_replicas is more than max_replicas")
        return self


class Deployed(Record):
    """How a model is deployed, in the words of a Serve config file; its replica checks `user_config` as there."""

    ray_actor_options: Reserved = Reserved()
    autoscaling_config: Scaling = Scaling()
    max_ongoing_requests: int = Field(default=16, ge=1, le=1000)
    user_config: Mapping[str, Any] = Field(default={}, max_length=20)


class Wanted(Record):
    """What to add: a repository of the model hub, or an entry as a catalogue has it.

    `revision` is a commit, tag or branch of the repository, `name` what to call its model in place of the repository's
    own name, `family` what the model is, if its files do not tell.
    """

    hub: str | None = Field(default=None, pattern=r"^[\w-][\w.-]*/[\w-][\w.-]*$", max_length=200)
    revision: str = Field(default="main", pattern=r"^[\w-][\w./-]*$", max_length=200)
    name: str | None = Field(default=None, pattern=_NAME, max_length=200)
    family: Checkpoint | None = None
    entry: ModelCard | None = None
    deployment: Deployed = Deployed()

    @model_validator(mode="after")
    def _one_way(self) -> Wanted:
        if (self.hub is None) == (self.entry is None):
            raise ValueError("expected 'hub' or 'entry'")
        if self.entry is None:
            return self
        if self.model_fields_set & {"revision", "name", "family"}:
            raise ValueError(
                "'revision', 'name' and 'family' are for a repository of the hub; an entry says them itself"
            )
        if self.entry.provider:
            raise ValueError("models of external providers have no files to add; name them in the catalogue")
        if any(isinstance(s, FolderSource) and not s.folder.is_absolute() for s in self.entry.sources):
            raise ValueError("the folder of an entry has to be a whole path, on the machines of the service")
        return self

    @property
    def called(self) -> str:
        """The name of the addition; of a repository with several models, each has one that begins so."""
        return self.entry.name if self.entry else str(self.name or self.hub)


class Addition(Record):
    """One addition: what is wanted, the models that it came to, and how far it is.

    `detail` is what is being looked at; `done` and `total` are bytes of a download. `reason`: why it failed, or why a
    model that is ready is not deployed again after a restart.
    """

    name: str
    wanted: Wanted
    cards: tuple[ModelCard, ...] = ()
    state: State = "waiting"
    detail: str = ""
    done: int = 0
    total: int | None = None
    reason: str | None = None

    @property
    def models(self) -> Sequence[str]:
        """The names of the models, those of all vectors that their networks give included."""
        return [one.name for card in self.cards for one in (card, *head_cards(card))]

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do but to serve it."""
        return self.state in {"ready", "failed"}

    def row(self, owner: str, at: float) -> Row:
        """As the database keeps it."""
        return Row(self.name, self.model_dump_json(exclude_defaults=True), owner, at)


class Row(NamedTuple):
    """An addition in the database: its content as JSON, who works at it, and when they last said so (since 1970)."""

    name: str
    content: str
    owner: str
    at: float


class Added(NamedTuple):
    """A new row, if there is none of its name."""

    row: Row


class Told(NamedTuple):
    """How far an addition is, if it is there and still its owner's."""

    row: Row


class Claimed(NamedTuple):
    """Another owner of an addition, if its own has said nothing since `before`."""

    name: str
    owner: str
    at: float
    before: float


class Removed(NamedTuple):
    """No row of a name any more."""

    name: str


Change = Union[Added, Told, Claimed, Removed]
"""A change of the rows."""


class AdditionBoard:
    """All additions as one ingress replica knows them: the ledger turns it, those who serve the models follow."""

    def __init__(self) -> None:
        self._told: Sequence[tuple[str, str]] | None = None
        self._current: Mapping[str, Addition] = {}
        self._followers: list[Callable[[], object]] = []

    @property
    def current(self) -> Mapping[str, Addition]:
        """All additions by name."""
        return self._current

    @property
    def is_known(self) -> bool:
        """Whether the database has told anything yet: until then, that there are none says nothing."""
        return self._told is not None

    def follow(self, changed: Callable[[], object]) -> None:
        """Have `changed` called after each change."""
        self._followers.append(changed)

    def turn(self, rows: Sequence[Row]) -> None:
        """Take on what the database has."""
        told = [(row.name, row.content) for row in rows]
        if told == self._told:
            return
        self._told = told
        self._current = {name: addition for name, content in told if (addition := _read(name, content))}
        for changed in self._followers:
            changed()


def _read(name: str, content: str) -> Addition | None:
    """None for one that another version of the service has written in a form that is not known here."""
    try:
        return Addition.model_validate_json(content)
    except ValidationError:
        log.warning("the added model '%s' is left out: its entry in the ledger is not of a known form", name)
        return None
