"""The environment variables: addresses and places on this machine. Nothing else is read from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, FilePath, model_validator

from deployments.catalogue import Record, validated


def _split(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(","))


def _is_url(value: str) -> str:
    if urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname:
        raise ValueError("expected a URL such as http://localhost:6333, or several with commas between them")
    return value


Urls = Annotated[tuple[Annotated[str, AfterValidator(_is_url)], ...], BeforeValidator(_split)]


class Environment(Record):
    """What the environment says; each field is the variable of the same name in capitals."""

    qdrant_url: Urls = Field(default=(), description="Qdrant's REST address; without it, the embedded store")
    qdrant_grpc_url: Urls = Field(default=(), description="Qdrant's gRPC address; default: port 6334 there")
    qdrant_ca_file: FilePath | None = Field(
        default=None, description="PEM file of the authorities that certify Qdrant's addresses; default: the system's"
    )
    qdrant_inference_data: Path = Field(
        default=Path("~/.local/share/qdrant-inference"), description="the folder of the embedded store"
    )

    @model_validator(mode="after")
    def _grpc_beside_rest(self) -> Environment:
        if self.qdrant_grpc_url and not self.qdrant_url:
            raise ValueError("QDRANT_GRPC_URL needs QDRANT_URL beside it")
        return self

    @property
    def grpc_urls(self) -> Sequence[str]:
        """Where gRPC calls go when there is a Qdrant server."""
        return self.qdrant_grpc_url or [f"{url.scheme}://{_host(url)}:6334" for url in map(urlsplit, self.qdrant_url)]

    @property
    def shown_url(self) -> str:
        """Qdrant's REST addresses without the credentials that may stand in them; empty where there are none."""
        urls = map(urlsplit, self.qdrant_url)
        return ", ".join(url._replace(netloc=url.netloc.rpartition("@")[2]).geturl() for url in urls)

    @property
    def data(self) -> Path:
        """The folder of the embedded store, absolute."""
        return self.qdrant_inference_data.expanduser().resolve()


def _host(url: SplitResult) -> str:
    return f"[{url.hostname}]" if ":" in str(url.hostname) else str(url.hostname)


def read(variables: Mapping[str, str] = os.environ) -> Environment:
    """The environment, validated. An empty variable counts as absent.

    Raises:
        ConfigError: names the variable and what was expected.
    """
    given = {name: value for name in Environment.model_fields if (value := variables.get(name.upper()))}
    return validated(Environment, given, "environment")
