"""The environment variables: addresses, keys, and places on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, FilePath, SecretStr, model_validator

from deployments.catalogue.records import Record, validated


def _split(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(","))


def urls(value: str) -> tuple[str, ...]:
    """One URL or several with commas between them.

    Raises:
        ValueError: one of them is none.
    """
    return _are_urls(_split(value))


def _are_urls(values: tuple[str, ...]) -> tuple[str, ...]:
    if not all(url.scheme in {"http", "https"} and url.hostname for url in map(urlsplit, values)):
        raise ValueError("expected a URL such as http://localhost:6333, or several with commas between them")
    return values


Urls = Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_are_urls)]


def _fits_a_header(key: SecretStr) -> SecretStr:
    if not all("!" <= character <= "~" for character in key.get_secret_value()):
        raise ValueError("expected visible ASCII characters only, no spaces or line ends: a header has to carry it")
    return key


def _is_database(url: SecretStr) -> SecretStr:
    kind = url.get_secret_value().partition(":")[0].partition("+")[0]
    if kind not in {"sqlite", "postgresql"}:
        raise ValueError("expected a URL such as postgresql://user:password@host/database or sqlite:////folder/file")
    if kind == "postgresql" and not find_spec("psycopg"):
        raise ValueError("PostgreSQL needs the package's extra 'postgres', which is not installed")
    return url


_NEEDS = {
    "qdrant_grpc_url": "qdrant_url",
    "qdrant_jwt_rbac": "qdrant_api_key",
    "qdrant_inference_tenants": "qdrant_api_key",
}
"""Variables that mean nothing without another one."""

Key = Annotated[SecretStr, AfterValidator(_fits_a_header)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_is_database)]


class Environment(Record):
    """What the environment says; each field is the variable of the same name in capitals."""

    model_config = ConfigDict(hide_input_in_errors=True, alias_generator=str.upper, populate_by_name=True)

    qdrant_url: Urls = Field(default=(), description="Qdrant's REST address; without it, the embedded store")
    qdrant_grpc_url: Urls = Field(default=(), description="Qdrant's gRPC address; default: port 6334 there")
    qdrant_ca_file: FilePath | None = Field(
        default=None, description="PEM file of the authorities that certify Qdrant's addresses; default: the system's"
    )
    qdrant_api_key: Key | None = Field(default=None, description="the key that allows everything; default: no key")
    qdrant_read_only_api_key: Key | None = Field(default=None, description="a key that allows reading")
    qdrant_jwt_rbac: bool = Field(default=False, description="whether tokens signed with QDRANT_API_KEY are taken too")
    qdrant_inference_admin_key: Key | None = Field(
        default=None, description="a key that allows what QDRANT_API_KEY does, and to switch inference on and off"
    )
    qdrant_inference_tenants: FilePath | None = Field(
        default=None, description="YAML file of tenants, who have keys of their own"
    )
    qdrant_inference_data: Path = Field(
        default=Path("~/.local/share/qdrant-inference"), description="the folder of the embedded store and the ledger"
    )
    qdrant_inference_database_url: DatabaseUrl | None = Field(
        default=None, description="the ledger's database, postgresql://...; default: SQLite in QDRANT_INFERENCE_DATA"
    )

    qdrant_inference_grpc_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="the port at which callers reach the gRPC API, for the console's examples; `up` sets it",
    )
    qdrant_inference_metrics_port: int = Field(
        default=0, ge=0, le=65535, description="the port on which `up` lets Ray offer metrics; default: any free one"
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        default=None, description="OpenTelemetry's collector, such as http://localhost:4318; default: no traces"
    )
    otel_exporter_otlp_traces_endpoint: str | None = Field(
        default=None, description="the same for traces alone, with its path, such as http://localhost:4318/v1/traces"
    )
    otel_sdk_disabled: bool = Field(default=False, description="whether there are no traces all the same")

    @model_validator(mode="after")
    def _none_without_the_other(self) -> Environment:
        for name, needed in _NEEDS.items():
            if getattr(self, name) and not getattr(self, needed):
                raise ValueError(f"{name.upper()} needs {needed.upper()} beside it")
        return self

    @property
    def asks_for_a_key(self) -> bool:
        """Whether callers need a key. Without one the service is open, as Qdrant is."""
        return bool(self.qdrant_api_key or self.qdrant_read_only_api_key)

    @property
    def asks_for_traces(self) -> bool:
        """Whether requests are traced."""
        collector = self.otel_exporter_otlp_endpoint or self.otel_exporter_otlp_traces_endpoint
        return bool(collector) and not self.otel_sdk_disabled

    @property
    def grpc_urls(self) -> Sequence[str]:
        """Where gRPC calls go when there is a Qdrant server."""
        return self.qdrant_grpc_url or [f"{url.scheme}://{_host(url)}:6334" for url in map(urlsplit, self.qdrant_url)]

    @property
    def shown_url(self) -> str:
        """Qdrant's REST addresses without the credentials that may stand in them; empty if there are none."""
        urls = map(urlsplit, self.qdrant_url)
        return ", ".join(url._replace(netloc=url.netloc.rpartition("@")[2]).geturl() for url in urls)

    @property
    def data(self) -> Path:
        """The folder of the embedded store and the ledger, absolute."""
        return self.qdrant_inference_data.expanduser().resolve()

    @property
    def database_url(self) -> str:
        """The ledger's database."""
        url = self.qdrant_inference_database_url
        return url.get_secret_value() if url else f"sqlite:///{self.data / 'ledger.sqlite3'}"


def _host(url: SplitResult) -> str:
    return f"[{url.hostname}]" if ":" in str(url.hostname) else str(url.hostname)


def read(variables: Mapping[str, str] = os.environ) -> Environment:
    """The environment, validated. An empty variable counts as absent.

    Raises:
        ConfigError: names the variable and what was expected.
    """
    names = map(str.upper, Environment.model_fields)
    given = {name: value for name in names if (value := variables.get(name))}
    return validated(Environment, given, "environment")
