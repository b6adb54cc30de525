"""The ingress's settings: the `user_config` of its deployment in the Serve config file. A change needs no restart."""

from __future__ import annotations

from pydantic import Field

from deployments.catalogue import Record


class Coalescing(Record):
    """When a batch is full, and how many partial ones of a lane may be under way before inputs wait for company."""

    inputs: int = Field(default=64, ge=1)
    characters: int = Field(default=32_768, ge=1)
    floor: int = Field(default=2, ge=1)


class Limits(Record):
    """What a request may ask for."""

    body_bytes: int = Field(default=32 * 1024 * 1024, ge=1, description="of a request that is looked into")
    objects: int = Field(default=4096, ge=1, description="inference objects in a request")
    images: int = Field(default=256, ge=1, description="images among them")
    text_characters: int = Field(default=1_000_000, ge=1, description="of each text")
    queue_tokens: int = Field(
        default=400_000, ge=1, description="that may wait for a model at each ingress replica, before it says 429"
    )
    timeout_s: float = Field(default=60.0, gt=0, description="for the models' part of a request")
    coalescing: Coalescing = Coalescing()
