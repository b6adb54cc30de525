"""The environment variables: addresses and places on this machine. Nothing else is read from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from deployments.catalogue import Record, validated


class Environment(Record):
    """What the environment says; each field is the variable of the same name in capitals."""

    qdrant_url: str | None = Field(default=None, description="Qdrant's REST address; without it, the embedded store")
    qdrant_grpc_url: str | None = Field(default=None, description="Qdrant's gRPC address; default: port 6334 there")
    qdrant_inference_data: Path = Field(
        default=Path("~/.local/share/qdrant-inference"), description="the folder of the embedded store"
    )

    @field_validator("qdrant_url", "qdrant_grpc_url")
    @classmethod
    def _is_a_url(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname):
            raise ValueError("expected a URL such as http://localhost:6333")
        return value

    @model_validator(mode="after")
    def _grpc_beside_rest(self) -> Environment:
        if self.qdrant_grpc_url and not self.qdrant_url:
            raise ValueError("QDRANT_GRPC_URL needs QDRANT_URL beside it")
        return self

    @property
    def grpc_address(self) -> str:
        """Where gRPC calls go when there is a Qdrant server."""
        if self.qdrant_grpc_url:
            return self.qdrant_grpc_url
        url = urlsplit(self.qdrant_url or "")
        return f"{url.scheme}://{url.hostname}:6334"

    @property
    def shown_url(self) -> str | None:
        """Qdrant's REST address without the credentials that may stand in it."""
        if self.qdrant_url is None:
            return None
        url = urlsplit(self.qdrant_url)
        return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()

    @property
    def data(self) -> Path:
        """The folder of the embedded store, absolute."""
        return self.qdrant_inference_data.expanduser().resolve()


def read(variables: Mapping[str, str] = os.environ) -> Environment:
    """The environment, validated. An empty variable counts as absent.

    Raises:
        ConfigError: names the variable and what was expected.
    """
    given = {name: value for name in Environment.model_fields if (value := variables.get(name.upper()))}
    return validated(Environment, given, "environment")
