"""The ingress's settings: the `user_config` of its deployment in the Serve config file. A change needs no restart."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field

from deployments.catalogue.records import Record
from serve_app.inference.find_json import MAX_DEPTH
from serve_app.observability.request_log import Form


class Coalescing(Record):
    """When a batch is full, and how many partial ones of a queue may be under way before inputs wait for company."""

    inputs: int = Field(default=64, ge=1)
    characters: int = Field(default=32_768, ge=1)
    max_partial_batches: int = Field(default=2, ge=1)


class IngressSettings(Record):
    """What a request may ask for. Its caller may ask for another time (Qdrant's `timeout`); the models keep to ours."""

    body_bytes: int = Field(default=32 * 1024 * 1024, ge=1, description="of a request or message that is looked into")
    objects: int = Field(default=4096, ge=1, description="inference objects in a request")
    images: int = Field(default=256, ge=1, description="images among them")
    text_characters: int = Field(default=1_000_000, ge=1, description="of each text")
    depth: int = Field(
        default=MAX_DEPTH, ge=1, le=MAX_DEPTH, description="levels of nesting of a body on the way to a vector"
    )
    queue_tokens: int = Field(
        default=400_000, ge=1, description="that may wait for a model at each ingress replica, before it says 429"
    )
    provider_requests: int = Field(
        default=256,
        ge=1,
        description="that may wait for external providers at each ingress replica, before it says 429",
    )
    free_tokens_per_month: int = Field(default=5_000_000, ge=0, description="of each model, before they cost anything")
    vector_cache_bytes: int = Field(
        default=32 * 1024 * 1024,
        ge=0,
        description="of vectors that each ingress replica keeps for searches that ask again; 0: of none",
    )
    timeout_s: float = Field(
        default=60.0,
        gt=0,
        description="of a request with inference objects, Qdrant's part included; its caller may ask for another",
    )
    qdrant_timeout_s: float = Field(
        default=300.0,
        gt=0,
        description="of Qdrant's silence, in any request: until it answers, and while a body comes or goes",
    )
    token_ids: bool = Field(
        default=False,
        description="whether the token ids that /v1/embeddings is sent are of the model's own tokenizer; else refused",
    )
    any_mrl: bool = Field(
        default=False,
        description="whether `mrl` may cut the vectors of models that were not trained for it, which makes them worse",
    )
    enable_cors: bool = Field(
        default=True, description="whether scripts of web pages elsewhere may call the service, as in Qdrant"
    )
    allowed_origins: tuple[str, ...] = Field(
        default=(),
        description="of web pages that may ask a service without keys, such as https://shop.example; its own and those "
        "of this machine may anyway",
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(),
        description="names with a domain under which a service without keys answers; addresses and names without one "
        "are fine anyway",
    )
    coalescing: Coalescing = Coalescing()
    request_log: Form = Field(default="none", description="a line for each request: none, text or json")


class LiveSettings:
    """The settings in force. Everybody reads them here when they need them, so new ones reach everybody at once."""

    def __init__(self, settings: IngressSettings | None = None) -> None:
        self.current = settings or IngressSettings()
        """The settings of this moment. Who has to decide twice by the same ones keeps what this gives."""
        self.coalescing = self.current.coalescing
        """When a batch is full, by the settings of this moment."""
        self._followers: list[Callable[[], object]] = []

    def replace(self, settings: IngressSettings) -> None:
        """Put others in force, and tell who follows."""
        self.current, self.coalescing = settings, settings.coalescing
        for changed in self._followers:
            changed()

    def follow(self, changed: Callable[[], object]) -> None:
        """Have `changed` called after each change, by those for whom it is time to act then."""
        self._followers.append(changed)
