"""`POST /v1/embeddings`: embeddings in OpenAI's words, for tools that know no others.

Source: OpenAI's API reference, "Embeddings" and "Error codes". `input_type` is our own: it says which of the model's
prefixes is put before a text.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import unquote

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from deployments.catalogue.card import ModelCard, RoutedCard
from deployments.contract import Direction, Model, Vector
from deployments.errors import BadOption, InferenceError, Kind, UnknownModel, WrongInput
from serve_app.api.management.json_bodies import Headers, dumped, encoded, question
from serve_app.auth.access import Authenticator, credential
from serve_app.embedder import Embedder
from serve_app.inference.objects import InferenceObject, Slot
from serve_app.ledger.meter import Caller
from serve_app.protocol.error_responses import HTTP, headers_of
from serve_app.protocol.messages import Request, Response, json_response

MOST_INPUTS = 2048
"""How many inputs a request may have."""

_EMBEDDINGS = "/v1/embeddings"
_MODELS = "/v1/models"
_DIRECTIONS: dict[str, Direction] = {"query": "search", "passage": "update"}
_TYPES = {
    Kind.UNAUTHENTICATED: "authentication_error",
    Kind.FORBIDDEN: "permission_error",
    Kind.OVERLOADED: "rate_limit_error",
    Kind.BAD_REQUEST: "invalid_request_error",
    Kind.TOO_LARGE: "invalid_request_error",
    Kind.UNSUPPORTED: "invalid_request_error",
    Kind.CONFLICT: "invalid_request_error",
    Kind.SWITCHED_OFF: "invalid_request_error",
}


_LOOKED_AT = 131_072
"""Items of a list that are looked at: ids of tokens are numbers, of which a text may have many."""

_NOT_OURS = (
    "input: token ids are refused, since clients send those of OpenAI's tokenizer, which stand for other texts here: "
    "send texts (in LangChain: check_embedding_ctx_length=False); for ids of the model's own tokenizer there is the "
    "setting token_ids"
)

T = TypeVar("T")
_Several = Annotated[list[T], Field(max_length=2 * MOST_INPUTS, fail_fast=True)]
_Ids = Annotated[list[StrictInt], Field(max_length=_LOOKED_AT, fail_fast=True)]


class Question(BaseModel):
    """The body of a request. Keys that newer clients send are not refused."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, protected_namespaces=())

    model: str = Field(min_length=1)
    input: StrictStr | _Several[StrictStr] | _Ids | _Several[_Ids] = Field(min_length=1)
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: StrictInt | None = None
    input_type: Literal["query", "passage"] = "passage"


class OpenAiApi:
    """Answers `/v1/embeddings` and `/v1/models`."""

    def __init__(self, authenticator: Authenticator, embedder: Embedder, models: Mapping[str, Model]) -> None:
        self._authenticator = authenticator
        self._embedder = embedder
        self._models = models

    def owns(self, path: str) -> bool:
        """Whether a path is OpenAI's, and not Qdrant's."""
        return path in {_EMBEDDINGS, _MODELS} or path.startswith(_MODELS + "/")

    def refusal(self, error: InferenceError) -> Response:
        """An error in OpenAI's shape."""
        unknown = isinstance(error, UnknownModel)
        content = {
            "message": error.message,
            "type": _TYPES.get(error.kind, "server_error"),
            "param": "model" if unknown else _param(error.message),
            "code": "model_not_found" if unknown else error.kind.value.replace(" ", "_"),
        }
        status = 404 if unknown else HTTP[error.kind]
        return json_response(status, dumped({"error": content}), encoded(headers_of(error)))

    async def answer(self, request: Request) -> Response:
        """Answer a request for a path that this API owns.

        Raises:
            InferenceError: see `refusal` for its shape.
        """
        access = self._authenticator.known(credential(request.headers))
        if (request.method, request.path) == ("POST", _EMBEDDINGS):
            return await self._embeddings(request, access.tenant)
        if (request.method, request.path) == ("GET", _MODELS):
            return self._list()
        if request.method == "GET" and request.path != _EMBEDDINGS:
            return self._model(unquote(request.path.removeprefix(_MODELS + "/")))
        text = "there is no such route; those of /v1 are POST /v1/embeddings, GET /v1/models and GET /v1/models/{model}"
        return json_response(
            404, dumped({"error": {"message": text, "type": "invalid_request_error", "param": None, "code": None}})
        )

    async def _embeddings(self, request: Request, tenant: str | None) -> Response:
        """The vectors of the inputs, in their order."""
        asked = await question(self._embedder.settings, request, Question)
        card = self._embedder.catalogue.find_one(asked.model, "model")
        if not _is_offered(card):
            raise WrongInput(f"model: {card.name} has no dense vectors of texts; see GET /v1/models for those that do")
        options = _cut(asked.dimensions, card)
        caller = Caller(tenant, operation="embeddings", keys=request.keys)
        texts = await self._as_texts(asked, card, caller)
        vectors: list[Vector | None] = [None] * len(texts)
        slots = [
            Slot(
                "input" if isinstance(asked.input, str) else f"input[{position}]",
                InferenceObject("text", text, card.name, options),
                named=True,
                put=partial(vectors.__setitem__, position),
            )
            for position, text in enumerate(texts)
        ]
        used = await self._embedder.embed(slots, _DIRECTIONS[asked.input_type], caller=caller)
        data = [
            {"object": "embedding", "index": i, "embedding": _encoded(vector, asked.encoding_format)}
            for i, vector in enumerate(vectors)
        ]
        return _response(card, data, sum(used.values()), self._embedder.quota_headers(caller, used))

    def _list(self) -> Response:
        """The models that can be asked here."""
        data = [
            _shown(card) for card in self._embedder.catalogue if _is_offered(card) and not isinstance(card, RoutedCard)
        ]
        return json_response(200, dumped({"object": "list", "data": data}))

    def _model(self, name: str) -> Response:
        """One of them."""
        card = self._embedder.catalogue.find_one(name, "model")
        if not _is_offered(card):
            raise UnknownModel(
                f"model: {card.name} has no dense vectors of texts; see GET /v1/models for those that do"
            )
        return json_response(200, dumped(_shown(card)))

    async def _as_texts(self, asked: Question, card: ModelCard, caller: Caller) -> Sequence[str]:
        given = asked.input
        if isinstance(given, str):
            return [given]
        if isinstance(given[0], int):
            return await self._read([given], card, caller)
        if len(given) > MOST_INPUTS:
            raise WrongInput(f"input: has {len(given)} items; at most {MOST_INPUTS} are allowed")
        if isinstance(given[0], str):
            return given
        return await self._read(given, card, caller)

    async def _read(self, rows: Sequence[Sequence[int]], card: ModelCard, caller: Caller) -> Sequence[str]:
        """The texts of token ids. That is a replica's work, so what would be refused after it is refused before it."""
        settings = self._embedder.settings.current
        if not settings.token_ids or card.provider:
            raise WrongInput(_NOT_OURS)
        self._embedder.meter.check(caller, [card.name])
        if len(rows) > settings.objects:
            raise WrongInput(f"input: has {len(rows)} items; at most {settings.objects} are allowed (objects)")
        longest, limit = max(map(len, rows)), settings.text_characters
        if longest > limit:
            raise WrongInput(
                f"input: has {longest} token ids in one item; at most {limit} are allowed (text_characters)"
            )
        return await self._models[card.name].texts(rows)


def _cut(dimensions: int | None, card: ModelCard) -> Mapping[str, int]:
    """The options that cut vectors to a length."""
    if dimensions is None:
        return {}
    if card.provider:
        return {card.provider.spec.dimensions: dimensions}
    if not 1 <= dimensions <= (card.dimensions or 0):
        raise BadOption(f"dimensions: expected a whole number from 1 to {card.dimensions}")
    return {"mrl": dimensions}


def _is_offered(card: ModelCard) -> bool:
    return card.vector_kind == "dense" and "text" in card.reads


def _shown(card: ModelCard) -> dict[str, Any]:
    return {"id": card.name, "object": "model", "created": 0, "owned_by": card.name.partition("/")[0]}


def _encoded(vector: Any, encoding: str) -> Any:
    row = np.ascontiguousarray(vector, "<f4")
    return base64.b64encode(row.tobytes()).decode() if encoding == "base64" else row


def _response(card: ModelCard, data: Sequence[Any], tokens: int, headers: Headers) -> Response:
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    body = {"object": "list", "data": data, "model": card.name, "usage": usage}
    return json_response(200, dumped(body), encoded(headers))


def _param(message: str) -> str | None:
    """The field that an error begins with, if it is one of a request's."""
    name = message.partition(":")[0].partition("[")[0]
    return name if name in Question.model_fields else None
