"""Requests for models of external providers: Qdrant Cloud's documented examples, and short ones."""

from __future__ import annotations

from typing import Any

from tests.support.gateway import Context, Gateway
from tests.support.provider_sites import KEYS, PNG

COOKIES, MARS = "Recipe for baking chocolate chip cookies", "Mission to Mars"


IMAGE = "https://qdrant.tech/example.png"


def option(name: str) -> tuple[str, str]:
    kind: Any = name.removesuffix("-api-key")
    return name, KEYS[kind]


EXAMPLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # The documented examples: what is stored, and what is searched with.
    "openai": (
        {"text": COOKIES, "model": "openai/text-embedding-3-large", "options": {"dimensions": 512}},
        {"text": MARS, "model": "openai/text-embedding-3-large", "options": {"dimensions": 512}},
    ),
    "cohere": (
        {"image": PNG, "model": "cohere/embed-v4.0", "options": {"output_dimension": 512}},
        {"text": MARS, "model": "cohere/embed-v4.0", "options": {"output_dimension": 512}},
    ),
    "jina": (
        {"image": IMAGE, "model": "jinaai/jina-clip-v2", "options": {"dimensions": 512}},
        {"text": MARS, "model": "jinaai/jina-clip-v2", "options": {"dimensions": 512}},
    ),
    "openrouter": (
        {"text": COOKIES, "model": "openrouter/mistralai/mistral-embed-2312", "options": {}},
        {"text": MARS, "model": "openrouter/mistralai/mistral-embed-2312", "options": {}},
    ),
}


def with_key(kind: str, wanted: dict[str, Any]) -> dict[str, Any]:
    name, key = option(f"{kind}-api-key")
    return {**wanted, "options": {name: key, **wanted["options"]}}


def bodies(qdrant: Any) -> str:
    """All that Qdrant was sent."""
    return "".join(f"{r.headers}{r.query}{r.body!r}" for r in qdrant.requests) + f"{qdrant.messages}{qdrant.calls}"


class WithMetadata(Context):
    def __init__(self, *metadata: tuple[str, str]) -> None:
        super().__init__()
        self._metadata = list(metadata)

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return [*super().invocation_metadata(), *self._metadata]


def asks(model: str = "openai/m", text: str = "tea", **options: Any) -> dict[str, Any]:
    return {"query": {"text": text, "model": model, "options": options}}


async def search(gateway: Gateway, body: dict[str, Any], **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await gateway.client.post("/collections/c/points/query", json=body, headers=named)
