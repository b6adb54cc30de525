"""The models that are served."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from deployments.catalogue.families import FAMILIES, Modality, VectorKind
from serve_app.api.management.schema.base import Answered, Operation, Operations, Shape, answered
from serve_app.api.management.schema.errors import REFUSED
from serve_app.api.management.schema.live import FIGURES, Figures
from serve_app.cluster.model_states import State


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
    state: Literal["off", State]
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


class ModelList(Shape):
    """The models in the order of the catalogue."""

    models: list[Model]


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
                ]
            },
            0.004,
        ),
        refusals=REFUSED,
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
