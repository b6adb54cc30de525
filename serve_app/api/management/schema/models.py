"""The models that are served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from deployments.catalogue.families import FAMILIES, Modality
from deployments.kinds import VectorKind
from serve_app.api.management.schema.base import Answered, Operation, Operations, Parameter, Shape, answered
from serve_app.api.management.schema.errors import AWAY, REFUSED, Error, error, refusal
from serve_app.api.management.schema.live import FIGURES, Figures
from serve_app.cluster import model_states
from serve_app.ledger.additions import State, Wanted


class Prefixes(Shape):
    """What the model puts before texts."""

    query: str
    passage: str


class ImageLimits(Shape):
    """The largest image that the model takes."""

    max_bytes: int
    max_pixels: int


class ReplicaCounts(Shape):
    """How many replicas the model has."""

    running: int
    starting: int


class ExampleModel(Shape):
    """One of a provider's models."""

    model: str
    dimensions: int


class ExternalProvider(Shape):
    """Behind which HTTP API the model is, and how its calls went, as one replica saw it."""

    host: str
    key: str | None
    """the option or header in which a caller brings a key of its own"""
    example: ExampleModel | None
    """what to ask for where the name is that of a route, such as openai/*"""
    reachable: bool | None
    """whether the last call was answered; null if there was none"""
    last_error: str | None
    last_error_at: float | None
    """in seconds since 1970"""


class Model(Shape):
    """What a model is, and how it is at the moment."""

    name: str
    aliases: list[str]
    family: str = Field(json_schema_extra={"enum": list[Any](FAMILIES)})
    modality: Modality
    reads: list[Modality]
    """all that it reads"""
    vector: VectorKind
    """what its collection needs"""
    dimensions: int | None
    modifier: Literal["idf"] | None
    """of the sparse vector in the collection"""
    context_window: int | None
    """in tokens"""
    prefixes: Prefixes
    options: list[str]
    """names of options; `/inference/options` has their schemas"""
    image_limits: ImageLimits | None
    shared_with: list[str]
    """models whose vectors can be compared with its own (CLIP)"""
    price_per_million_tokens: float
    free_tokens_per_month: int
    licence: str
    model_card_url: str
    state: Literal["off", model_states.State]
    reason: str | None
    """why it failed, or why its provider could not be reached"""
    replicas: ReplicaCounts
    provider: str | None
    """cpu, openvino or cuda, or the kind of its HTTP API; null if no replica runs, while none has said yet, and for
    BM25"""
    precision: str | None
    external: ExternalProvider | None
    """null for a model that runs here"""
    live: Figures


class AdditionState(Shape):
    """How far a model is that is added while the service runs."""

    name: str
    models: list[str]
    """the names under which requests find it, once it is ready; a CLIP has two"""
    state: State
    """`waiting`: for a machine of the cluster"""
    detail: str
    """what is fetched or checked at the moment"""
    done: int
    """bytes"""
    total: int | None
    """bytes; null if it is not known"""
    reason: str | None
    """why it failed, or why a model that is ready could not be deployed again after a restart"""


class ModelList(Shape):
    """The models in the order of the catalogue, those after it that were added while the service ran."""

    models: list[Model]
    additions: list[AdditionState]
    """what was added while the service ran, or is being added"""


class AdditionAnswer(Answered):
    """What was begun, or taken away."""

    result: AdditionState


class OptionsOfModels(Shape):
    """What an inference object may have under `options`, by the model's name."""

    models: dict[str, dict[str, dict[str, Any]]]
    """JSON Schema of each option by its name"""


class OptionsAnswer(Answered):
    """The options of all models."""

    result: OptionsOfModels


class ModelsAnswer(Answered):
    """The models that are served."""

    result: ModelList


_ADDITION = {
    "name": "intfloat/e5-small-v2",
    "models": ["intfloat/e5-small-v2"],
    "state": "downloading",
    "detail": "intfloat/e5-small-v2: downloading",
    "done": 41_000_000,
    "total": 133_466_304,
    "reason": None,
}
_ADMIN: Mapping[str, Any] = {
    "403": refusal(
        "Another key, or there is no admin key; the text says which variable to set.",
        Error,
        error("the settings may be changed with the admin key only, and none is set: set QDRANT_INFERENCE_ADMIN_KEY"),
    ),
    **AWAY,
    **REFUSED,
}

OPERATIONS: Operations = {
    ("get", "/inference/models"): Operation(
        tag="console",
        summary="Every model that is served, with its state and live figures",
        description=(
            "Any credential. States are at most two seconds old; if Ray Serve's controller does not answer, they are "
            "those known last, or `unknown`. What a busy replica says of itself may come with a later answer."
        ),
        answer=ModelsAnswer,
        means="The models in the order of the catalogue.",
        example=answered(
            {
                "models": [
                    {
                        "name": "sentence-transformers/all-minilm-l6-v2",
                        "aliases": [],
                        "family": "dense",
                        "modality": "text",
                        "reads": ["text"],
                        "vector": "dense",
                        "dimensions": 384,
                        "modifier": None,
                        "context_window": 256,
                        "prefixes": {"query": "", "passage": ""},
                        "options": ["mrl"],
                        "image_limits": None,
                        "shared_with": [],
                        "price_per_million_tokens": 0.02,
                        "free_tokens_per_month": 5_000_000,
                        "licence": "Apache-2.0",
                        "model_card_url": "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
                        "state": "ready",
                        "reason": None,
                        "replicas": {"running": 1, "starting": 0},
                        "provider": "openvino",
                        "precision": "bfloat16",
                        "external": None,
                        "live": FIGURES,
                    }
                ],
                "additions": [_ADDITION],
            },
            0.004,
        ),
        refusals=REFUSED,
    ),
    ("post", "/inference/models"): Operation(
        tag="console",
        summary="Add a model while the service runs",
        description=(
            "Needs the admin key. The body names a repository of the model hub (`hub`, and if need be `revision`, "
            "`name`, `family`), or has an entry as a catalogue has it (`entry`; a folder among its sources lies on the "
            "machines of the service). The answer comes at once; `GET /inference/models` tells under `additions` how "
            "far it is. Its files are fetched and checked in a process of their own, then it is deployed, with no "
            "replica until the first request, or as `deployment` says in the words of a Serve config file. From "
            "`ready` on all ingress replicas know it within two seconds. No other model is touched, and it survives a "
            "restart. One that has failed may be added again. 409: there is a model of that name."
        ),
        question=Wanted,
        questions={
            "hub": {"hub": "intfloat/e5-small-v2"},
            "always there": {
                "hub": "intfloat/e5-small-v2",
                "revision": "main",
                "name": "shop/products",
                "deployment": {"autoscaling_config": {"min_replicas": 1, "max_replicas": 2}},
            },
            "entry": {
                "entry": {
                    "name": "shop/products",
                    "family": "dense",
                    "dimensions": 384,
                    "context_window": 512,
                    "pooling": "mean",
                    "licence": "our own",
                    "model_card_url": "-",
                    "sources": [{"folder": "/models/ours", "files": {"model.safetensors": {}, "tokenizer.json": {}}}],
                }
            },
        },
        answer=AdditionAnswer,
        means="It was begun.",
        example=answered(
            {**_ADDITION, "state": "waiting", "detail": "", "done": 0, "total": None, "models": []}, 0.003
        ),
        refusals=_ADMIN,
    ),
    ("delete", "/inference/models/{name}"): Operation(
        tag="console",
        summary="Take away a model that was added while the service ran",
        description=(
            "Needs the admin key. The name may hold slashes; it is that of the addition or of one of its models, of "
            "which all go. Requests in flight finish; those that come later answer 400, as for any model that is not "
            "there. A model of the Serve config file's catalogue is not taken away, but switched off."
        ),
        parameters=[
            Parameter("name", "path", "What it is called.", {"type": "string"}),
            Parameter("files", "query", "Whether its files are deleted, too.", {"type": "boolean", "default": False}),
        ],
        answer=AdditionAnswer,
        means="It is gone.",
        example=answered({**_ADDITION, "state": "ready", "detail": "", "done": 0, "total": None}, 0.01),
        refusals=_ADMIN,
    ),
    ("get", "/inference/options"): Operation(
        tag="console",
        summary="The options of every model",
        description="Any credential. Changes only when other models are served.",
        answer=OptionsAnswer,
        means="JSON Schema of each option, by the model's name and the option's.",
        example=answered(
            {
                "models": {
                    "sentence-transformers/all-minilm-l6-v2": {
                        "mrl": {
                            "type": "integer",
                            "minimum": 1,
                            "maximum": 384,
                            "description": "cuts the vector to its first N numbers",
                        }
                    }
                }
            },
            0.0008,
        ),
        refusals=REFUSED,
    ),
}
