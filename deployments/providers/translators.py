"""A batch in a provider's words, and its answer in ours: one record a kind of HTTP API.

Options go into the request under the provider's own names, after what follows from the direction: so what a caller
says counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployments.contract import Batch, Direction, ProviderBatch, ProviderKind
from deployments.errors import WrongInput
from deployments.providers import pictures
from deployments.providers.answers import Answer, UnsoundAnswerError, count, in_order

Body = dict[str, Any]


@dataclass(frozen=True)
class Translator:
    """The path of the API below its address, the body of a request, and what an answer (JSON, headers) holds."""

    path: str
    body: Callable[[ProviderBatch], Body]
    answer: Callable[[Any, Mapping[str, str]], Answer]


def _openai(call: ProviderBatch) -> Body:
    return {"model": call.target.model, "input": list(_texts(call)), **call.batch.options}


def _openrouter(call: ProviderBatch) -> Body:
    if call.reads == "text":
        return _openai(call)
    parts = [{"type": "image_url", "image_url": {"url": _linked(source, call)}} for source in _strings(call.batch)]
    return {"model": call.target.model, "input": [{"content": [part]} for part in parts], **call.batch.options}


_TASKED = ("jina-embeddings-v3", "jina-embeddings-v4", "jina-embeddings-v5")
_TASKED_QUERIES = ("jina-clip-v2",)
_JINA_TASKS: Mapping[Direction, str] = {"search": "retrieval.query", "update": "retrieval.passage"}


def _jina_task(model: str, direction: Direction) -> Body:
    """The task, for those models that know it; jina-clip-v2 knows that of queries alone."""
    knows = _TASKED + _TASKED_QUERIES if direction == "search" else _TASKED
    return {"task": _JINA_TASKS[direction]} if model.startswith(knows) else {}


def _jina(call: ProviderBatch) -> Body:
    model, options = call.target.model, call.batch.options
    if call.reads == "image":
        sources = _strings(call.batch)
        return {"model": model, "input": [{"image": _plain(source, call)} for source in sources], **options}
    inputs: list[Any] = list(_texts(call))
    if "clip" in model:
        inputs = [{"text": text} for text in inputs]
    return {"model": model, "input": inputs, **_jina_task(model, call.batch.direction), **options}


_COHERE_TYPES: Mapping[Direction, str] = {"search": "search_query", "update": "search_document"}


def _cohere(call: ProviderBatch) -> Body:
    head: Body = {"model": call.target.model, "embedding_types": ["float"]}
    if call.reads == "image":
        images = [_linked(source, call) for source in _strings(call.batch)]
        return {**head, "input_type": "image", "images": images, **call.batch.options}
    texts = list(_texts(call))
    return {**head, "input_type": _COHERE_TYPES[call.batch.direction], "texts": texts, **call.batch.options}


def _tei(call: ProviderBatch) -> Body:
    return {"inputs": list(_texts(call)), "truncate": True, **call.batch.options}


def _openai_answer(content: Any, _: Mapping[str, str]) -> Answer:
    if not isinstance(content, dict):
        raise UnsoundAnswerError("gave no object")
    return Answer(in_order(content.get("data")), count(content.get("usage"), "total_tokens", "prompt_tokens"))


def _cohere_answer(content: Any, _: Mapping[str, str]) -> Answer:
    vectors = content.get("embeddings") if isinstance(content, dict) else None
    if not isinstance(vectors, dict) or not isinstance(vectors.get("float"), list):
        raise UnsoundAnswerError("gave no list of vectors")
    billed = (content.get("meta") or {}) if isinstance(content.get("meta"), dict) else {}
    units = billed.get("billed_units")
    parts = [number for name in ("input_tokens", "image_tokens") if (number := count(units, name)) is not None]
    return Answer(vectors["float"], sum(parts) if parts else None)


def _tei_answer(content: Any, headers: Mapping[str, str]) -> Answer:
    if not isinstance(content, list):
        raise UnsoundAnswerError("gave no list of vectors")
    tokens = headers.get("x-compute-tokens", "")
    return Answer(content, int(tokens) if tokens.isdecimal() and len(tokens) <= 9 else None)  # noqa: PLR2004


def _strings(batch: Batch) -> Sequence[str]:
    return [str(value) for value in batch.inputs]


def _texts(call: ProviderBatch) -> Sequence[str]:
    if call.reads != "text":
        raise WrongInput(f"{call.target.name} takes no images")
    return _strings(call.batch)


def _linked(source: str, call: ProviderBatch) -> str:
    """An image as a URL or a data URL."""
    return pictures.url(source, allowed=call.target.fetches) or pictures.data_url(source)


def _plain(source: str, call: ProviderBatch) -> str:
    """An image as a URL or base64."""
    return pictures.url(source, allowed=call.target.fetches) or pictures.plain(source)


TRANSLATORS: dict[ProviderKind, Translator] = {
    "openai": Translator("/embeddings", _openai, _openai_answer),
    "openrouter": Translator("/embeddings", _openrouter, _openai_answer),
    "jina": Translator("/embeddings", _jina, _openai_answer),
    "cohere": Translator("/embed", _cohere, _cohere_answer),
    "tei": Translator("/embed", _tei, _tei_answer),
}
