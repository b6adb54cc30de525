"""External providers: what is true of every model behind one kind of HTTP API, in one record each.

A new kind is one record here and one translator in `deployments/providers/translators.py`. The gateway reads these
records too, so nothing heavy is imported.

Sources: the providers' API references (OpenAI "Embeddings"; Cohere "Embed API v2"; Jina AI "Embeddings"; OpenRouter
"Embeddings"; text-embeddings-inference "/embed"); Qdrant's documentation, "External Embedding Model Providers".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, model_validator

from deployments.catalogue.records import Record
from deployments.contract import ProviderKind

Prefix = Literal["openai", "cohere", "jinaai", "openrouter"]
"""What the names of a provider's models begin with, if they need no entry in a catalogue; Qdrant Cloud's words."""


@dataclass(frozen=True)
class ProviderSpec:
    """One kind of HTTP API.

    Attributes:
        url: where the provider itself serves it; None if everybody runs a server of their own.
        key: the option of an inference object, and the header, in which a caller shows its key for that place.
        inputs: how many a request may have.
        characters: how many all texts of a request may have; a text has fewer tokens than characters.
        images: how many a request may have; 0 if no model reads any.
        fetches: whether the provider takes URLs of images.
        dimensions: the option with which a caller asks for shorter vectors.
        reserved: fields of a request that are not the caller's to set.
        docs: for people.
        example: a model of the provider's, and its dimensions.
    """

    url: str | None
    key: str | None
    inputs: int
    characters: int
    images: int
    fetches: bool
    dimensions: str
    reserved: frozenset[str]
    docs: str
    example: tuple[str, int] | None = None


_RESERVED = frozenset({"model", "input", "inputs", "texts", "images", "encoding_format", "embedding_type", "stream"})

PROVIDERS: dict[ProviderKind, ProviderSpec] = {
    "openai": ProviderSpec(
        url="https://api.openai.com/v1",
        key="openai-api-key",
        inputs=256,  # 2,048 at most; so few keep an answer below some megabytes
        characters=300_000,
        images=0,
        fetches=False,
        dimensions="dimensions",
        reserved=_RESERVED,
        docs="https://platform.openai.com/docs/guides/embeddings",
        example=("text-embedding-3-small", 1536),
    ),
    "cohere": ProviderSpec(
        url="https://api.cohere.com/v2",
        key="cohere-api-key",
        inputs=96,
        characters=300_000,
        images=1,
        fetches=False,
        dimensions="output_dimension",
        reserved=_RESERVED | {"embedding_types"},
        docs="https://docs.cohere.com/reference/embed",
        example=("embed-v4.0", 1536),
    ),
    "jina": ProviderSpec(
        url="https://api.jina.ai/v1",
        key="jina-api-key",
        inputs=256,
        characters=300_000,
        images=16,
        fetches=True,
        dimensions="dimensions",
        reserved=_RESERVED | {"return_multivector"},
        docs="https://jina.ai/embeddings/",
        example=("jina-embeddings-v3", 1024),
    ),
    "openrouter": ProviderSpec(
        url="https://openrouter.ai/api/v1",
        key="openrouter-api-key",
        inputs=256,
        characters=300_000,
        images=16,
        fetches=True,
        dimensions="dimensions",
        reserved=_RESERVED,
        docs="https://openrouter.ai/docs/api/reference/embeddings",
        example=("mistralai/mistral-embed-2312", 1024),
    ),
    "tei": ProviderSpec(
        url=None,
        key=None,
        inputs=32,  # its own default (max-client-batch-size)
        characters=300_000,
        images=0,
        fetches=False,
        dimensions="dimensions",
        reserved=_RESERVED,
        docs="https://huggingface.co/docs/text-embeddings-inference",
    ),
}

PREFIXES: dict[Prefix, ProviderKind] = {
    "openai": "openai",
    "cohere": "cohere",
    "jinaai": "jina",
    "openrouter": "openrouter",
}


def _address(url: str) -> str:
    """The base address of an API, without a slash at its end."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected an address such as https://embeddings.example/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("an address has no user, no query and no fragment; keys stand in an environment variable")
    return url.rstrip("/")


Address = Annotated[str, AfterValidator(_address)]
_KEY_NAME = re.compile(r"(?!x-)[a-z0-9-]{1,50}-api-key")
"""What a provider's key is called, as an option and as a header; Qdrant hands headers of such names to its inference
service. `x-api-key` is of those who stand in front of servers, and passes."""


def is_key(name: str) -> bool:
    """Whether an option or header holds a provider's key."""
    return _KEY_NAME.fullmatch(name) is not None


def _key_name(name: str) -> str:
    if not is_key(name):
        raise ValueError("expected a name such as openai-api-key")
    return name


KeyName = Annotated[str, AfterValidator(_key_name)]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Endpoint(Record):
    """Where a provider's API is: by default the provider's own, with the key that its callers bring.

    `key_env` names the variable with the operator's key, in the environment of the deployment `Providers`. `key` names
    the option and header of callers' keys; an address of one's own has none by default, so that no caller's key for the
    provider itself goes there.
    """

    url: Address | None = None
    key_env: Variable | None = None
    key: KeyName | None = None
    fetches_images: bool = Field(default=False, description="whether an address of one's own is sent image URLs")


class Provider(Endpoint):
    """What a catalogue entry says of its provider. `inputs` and `characters` bound a request."""

    kind: ProviderKind
    model: str = Field(default="", max_length=200)
    inputs: int | None = Field(default=None, ge=1, le=4096)
    characters: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Provider:
        if self.url is None and self.spec.url is None:
            raise ValueError(f"a {self.kind} provider needs 'url'")
        if not self.model and self.kind != "tei":
            raise ValueError(f"a {self.kind} provider needs 'model'")
        return self

    @property
    def spec(self) -> ProviderSpec:
        """What is true of all models of its kind."""
        return PROVIDERS[self.kind]

    @property
    def address(self) -> str:
        """The address below which its API lies."""
        return self.url or self.spec.url or ""

    @property
    def host(self) -> str:
        """Its host and port, as the allow-list has them."""
        return host_of(self.address)

    @property
    def key_name(self) -> str | None:
        """The option and header in which a caller shows its key, if it can."""
        return self.key or (None if self.url else self.spec.key)

    @property
    def may_fetch(self) -> bool:
        """Whether it may be sent URLs of images."""
        return self.spec.fetches and (self.fetches_images or self.url is None)


def host_of(address: str) -> str:
    """The host and port of an address; a port that goes without saying is left out."""
    parts: SplitResult = urlsplit(address)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else str(parts.hostname)
    return host if parts.port in {None, usual} else f"{host}:{parts.port}"
