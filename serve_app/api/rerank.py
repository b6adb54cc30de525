"""Rerankers: how well each of some documents answers a query, the best first.

`POST /v1/rerank` and `/v2/rerank` have the words of Cohere and Jina, `POST /rerank` those of text-embeddings-inference.
Sources: their API references, "Rerank". A score is the sigmoid of what the model gives; `raw_scores` of the latter asks
for the number itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, NamedTuple, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from deployments.catalogue.card import ModelCard
from deployments.contract import Pair, Vector
from deployments.errors import InferenceError, Kind, UnknownModel, WrongInput
from serve_app.api.management.json_bodies import dumped, encoded, question
from serve_app.auth.access import Authenticator, credential
from serve_app.config.settings import IngressSettings
from serve_app.embedder import Embedder
from serve_app.inference.objects import InferenceObject, Slot
from serve_app.inference.usage import Usage
from serve_app.ledger.meter import Caller
from serve_app.protocol.error_responses import HTTP, headers_of
from serve_app.protocol.messages import Request, Response, json_response

MOST_DOCUMENTS = 2048
"""How many documents a request may have."""

_ERROR_KEYS = {"/v1/rerank": "detail", "/v2/rerank": "message"}
"""What an error is called: by Jina, whose clients know the first path, and by Cohere."""

_TEI_PATH = "/rerank"
_ERROR_TYPES = {Kind.OVERLOADED: "overloaded", Kind.UNAVAILABLE: "unhealthy", Kind.INTERNAL: "backend"}
_NAMED = 5
"""Rerankers that an error names."""

T = TypeVar("T")
_Several = Annotated[list[T], Field(min_length=1, max_length=2 * MOST_DOCUMENTS, fail_fast=True)]


class Document(BaseModel):
    """A document as Cohere's older clients send it; only its text is read."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    text: StrictStr


class Question(BaseModel):
    """The body of a request in Cohere's and Jina's words. Keys that other clients send are not refused."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, protected_namespaces=())

    model: str = Field(min_length=1)
    query: StrictStr
    documents: _Several[StrictStr | Document]
    top_n: StrictInt | None = Field(default=None, ge=1)
    return_documents: StrictBool | None = None


class TeiQuestion(BaseModel):
    """The body of a request in the words of text-embeddings-inference. Only `model` is our own."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, protected_namespaces=())

    query: StrictStr
    texts: _Several[StrictStr]
    raw_scores: StrictBool = False
    return_text: StrictBool = False
    model: str | None = Field(default=None, min_length=1)


Q = TypeVar("Q", Question, TeiQuestion)


def apis(authenticator: Authenticator, embedder: Embedder) -> Sequence[RerankApi | TeiRerankApi]:
    """All that rerankers answer."""
    ranker = Ranker(authenticator, embedder)
    return [*(RerankApi(ranker, path) for path in _ERROR_KEYS), TeiRerankApi(ranker)]


class Ranked(NamedTuple):
    """A document's place in the request, and what the model gave for it."""

    position: int
    score: float


class Ranker:
    """What both APIs share: from a query and documents to an order."""

    def __init__(self, authenticator: Authenticator, embedder: Embedder) -> None:
        self.authenticator = authenticator
        self.embedder = embedder

    async def read(self, request: Request, form: type[Q]) -> tuple[Q, ModelCard, Caller] | None:
        """What is asked for, of which model, and by whom; None if the request is no POST.

        Raises:
            InferenceError: who asks is not known, or the body is not of this form.
        """
        access = self.authenticator.known(credential(request.headers))
        if request.method != "POST":
            return None
        asked = await question(self.embedder.settings, request, form)
        return asked, self.chosen(asked.model), Caller(access.tenant, operation="rerank", keys=request.keys)

    def chosen(self, name: str | None) -> ModelCard:
        """The reranker of a name; without one the only one that is served.

        Raises:
            UnknownModel, WrongInput: names the rerankers that there are.
        """
        rerankers = [card.name for card in self.embedder.catalogue if card.vector_kind == "score"]
        there_are = ", ".join(rerankers[:_NAMED]) + (", ..." if len(rerankers) > _NAMED else "") or "none"
        if name is None and len(rerankers) != 1:
            raise WrongInput(f"model: say which reranker; there are {there_are}")
        card = self.embedder.catalogue.find_one(rerankers[0] if name is None else name, "model")
        if card.vector_kind != "score":
            raise WrongInput(f"model: {card.name} is no reranker; there are {there_are}")
        return card

    async def rank(
        self, card: ModelCard, query: str, documents: Sequence[str], field: str, caller: Caller
    ) -> tuple[list[Ranked], Usage]:
        """The documents, the best first; those with equal scores in their order. And the tokens that it took.

        Raises:
            InferenceError: errors name `field` as where the documents stand.
        """
        _check(query, documents, field, self.embedder.settings.current)
        scores: dict[int, Vector] = {}
        slots = [
            Slot(
                (field, position),
                InferenceObject("pair", Pair(query, document), card.name, {}),
                named=True,
                put=partial(scores.__setitem__, position),
            )
            for position, document in enumerate(documents)
        ]
        used = await self.embedder.embed(slots, "search", caller=caller)
        ranked = [Ranked(position, float(np.ravel(scores[position])[0])) for position in range(len(documents))]  # type: ignore[arg-type]
        return sorted(ranked, key=lambda one: -one.score), used


class RerankApi:
    """Answers `/v1/rerank` or `/v2/rerank`, which differ in what an error is called only."""

    def __init__(self, ranker: Ranker, path: str) -> None:
        self._ranker = ranker
        self._path = path
        self._error_key = _ERROR_KEYS[path]

    def owns(self, path: str) -> bool:
        """Whether a path is this API's, and not Qdrant's."""
        return path == self._path

    def refusal(self, error: InferenceError) -> Response:
        """An error in Jina's or Cohere's shape."""
        return _refused(error, {self._error_key: error.message})

    async def answer(self, request: Request) -> Response:
        """Answer a request for a path that this API owns.

        Raises:
            InferenceError: see `refusal` for its shape.
        """
        ranker = self._ranker
        read = await ranker.read(request, Question)
        if read is None:
            return _no_such_route({self._error_key: _ONLY_POST})
        asked, card, caller = read
        texts = [one if isinstance(one, str) else one.text for one in asked.documents]
        ranked, used = await ranker.rank(card, asked.query, texts, "documents", caller)
        results: list[dict[str, Any]] = [
            {"index": one.position, "relevance_score": sigmoid(one.score)}
            | ({"document": {"text": texts[one.position]}} if asked.return_documents else {})
            for one in ranked[: asked.top_n]
        ]
        tokens = sum(used.values())
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        body = {"model": card.name, "object": "list", "results": results, "usage": usage}
        return json_response(200, dumped(body), encoded(ranker.embedder.quota_headers(caller, used)))


class TeiRerankApi:
    """Answers `/rerank`."""

    def __init__(self, ranker: Ranker) -> None:
        self._ranker = ranker

    def owns(self, path: str) -> bool:
        """Whether a path is this API's, and not Qdrant's."""
        return path == _TEI_PATH

    def refusal(self, error: InferenceError) -> Response:
        """An error in the shape of text-embeddings-inference."""
        return _refused(error, {"error": error.message, "error_type": _ERROR_TYPES.get(error.kind, "validation")})

    async def answer(self, request: Request) -> Response:
        """Answer a request for a path that this API owns.

        Raises:
            InferenceError: see `refusal` for its shape.
        """
        ranker = self._ranker
        read = await ranker.read(request, TeiQuestion)
        if read is None:
            return _no_such_route({"error": _ONLY_POST, "error_type": "validation"})
        asked, card, caller = read
        ranked, used = await ranker.rank(card, asked.query, asked.texts, "texts", caller)
        body = [
            {"index": one.position, "score": one.score if asked.raw_scores else sigmoid(one.score)}
            | ({"text": asked.texts[one.position]} if asked.return_text else {})
            for one in ranked
        ]
        return json_response(200, dumped(body), encoded(ranker.embedder.quota_headers(caller, used)))


def sigmoid(score: float) -> float:
    """The share between 0 and 1 that a number without bounds stands for."""
    return 0.5 + 0.5 * math.tanh(score / 2)


def _check(query: str, documents: Sequence[str], field: str, settings: IngressSettings) -> None:
    """Make sure of what is bounded for all inputs, and that a long query is not multiplied by many documents.

    Raises:
        WrongInput: names the field and the setting.
    """
    if len(documents) > MOST_DOCUMENTS:
        raise WrongInput(f"{field}: has {len(documents)} items; at most {MOST_DOCUMENTS} are allowed")
    longest = settings.text_characters
    for where, text in (("query", query), *((f"{field}[{at}]", text) for at, text in enumerate(documents))):
        if len(text) > longest:
            raise WrongInput(f"{where}: has {len(text)} characters; at most {longest} are allowed (text_characters)")
    total = len(query) * len(documents) + sum(map(len, documents))
    if total > settings.body_bytes:
        raise WrongInput(
            f"query: counts with each of {len(documents)} documents, {total} characters in all; at most "
            f"{settings.body_bytes} are allowed (body_bytes)"
        )


_ONLY_POST = "there is no such route; rerankers answer POST /v1/rerank, /v2/rerank and /rerank"


def _no_such_route(content: Any) -> Response:
    return json_response(404, dumped(content))


def _refused(error: InferenceError, content: Any) -> Response:
    status = 404 if isinstance(error, UnknownModel) else HTTP[error.kind]
    return json_response(status, dumped(content), encoded(headers_of(error)))
