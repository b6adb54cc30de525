"""What models make of some inputs: vectors, and for texts the tokens and words that they come from."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from deployments.catalogue.card import ModelCard
from deployments.catalogue.records import Record
from deployments.contract import Batch, Direction, Explanation, Model, SparseVector, Vector
from deployments.errors import InferenceError, MalformedRequest, TooLarge, WrongInput
from serve_app.api.management.json_bodies import Answer
from serve_app.embedder import Embedder
from serve_app.inference.objects import InferenceObject, Slot
from serve_app.inference.plan import prefix_of
from serve_app.inference.provider_keys import without_keys
from serve_app.inference.usage import Usage
from serve_app.ledger.meter import Caller


class Input(Record):
    """A text, or an image."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["text"]}, {"required": ["image"]}]})

    text: str | None = Field(default=None, max_length=20_000)
    image: str | None = Field(default=None, description="base64 or URL")

    @model_validator(mode="after")
    def _is_one(self) -> Input:
        if (self.text is None) == (self.image is None):
            raise ValueError("expected 'text' or 'image'")
        return self


class Question(Record):
    """Inputs to try on models; `options` by the model's name as it stands in `models`."""

    model_config = ConfigDict(hide_input_in_errors=True)

    inputs: tuple[Input, ...] = Field(min_length=1, max_length=64, fail_fast=True)
    models: tuple[str, ...] = Field(min_length=1, max_length=16, fail_fast=True)
    direction: Direction = "search"
    options: Mapping[str, Mapping[str, Any]] = Field(default={}, description="options by the model's name")


class Playground:
    """Tries inputs on one model after the other, so that the times are each model's own."""

    def __init__(self, embedder: Embedder, models: Mapping[str, Model]) -> None:
        self._embedder = embedder
        self._models = models

    async def answer(self, asked: Question, caller: Caller) -> Answer:
        """An output for each model and input that it reads."""
        used = dict[str, int]()
        outputs = []
        for name in asked.models:
            outputs.append(await self._try(asked, name, caller, used))
            caller = caller._replace(again=bool(used))
        return Answer({"models": outputs}, self._embedder.quota_headers(caller, used))

    async def _try(self, asked: Question, name: str, caller: Caller, all_used: dict[str, int]) -> dict[str, Any]:
        began = time.perf_counter()
        try:
            card = self._embedder.catalogue.find_one(name, "models")
            vectors: dict[int, Vector] = {}
            slots = _slots(asked, card, asked.options.get(name, {}), vectors)
            used, wrong = await self._embed(slots, asked.direction, caller)
            all_used.update(used)
            seconds = time.perf_counter() - began
            explanations = await self._explanations(asked, card, asked.options.get(name, {}), vectors)
        except InferenceError as error:
            return _output(name, time.perf_counter() - began, 0, error.message, [])
        outputs = [_shown(position, vector, explanations.get(position)) for position, vector in vectors.items()]
        outputs += [{**_NO_OUTPUT, "input": position, "error": text} for position, text in wrong.items()]
        outputs.sort(key=lambda output: int(output["input"]))
        return _output(card.name, seconds, sum(used.values()), None, outputs)

    async def _embed(
        self, slots: Mapping[int, Slot], direction: Direction, caller: Caller
    ) -> tuple[Usage, Mapping[int, str]]:
        """Fill the slots; the tokens that it took, and what is wrong with inputs, by their places.

        Raises:
            InferenceError: it is not about an input.
        """
        if not slots:
            return {}, {}
        try:
            return await self._embedder.embed([*slots.values()], direction, caller=caller), {}
        except (MalformedRequest, TooLarge, WrongInput) as error:
            # The first that is wrong ends a request: with one slot each, the others are shown all the same.
            if not any(error.message.startswith(slot.where) for slot in slots.values()):
                raise
        used, wrong = dict[str, int](), dict[int, str]()
        for position, slot in slots.items():
            try:
                for model, tokens in (await self._embedder.embed([slot], direction, caller=caller)).items():
                    used[model] = used.get(model, 0) + tokens
                caller = caller._replace(again=True)
            except (MalformedRequest, TooLarge, WrongInput) as error:
                wrong[position] = _without_place(error.message, slot)
        return used, wrong

    async def _explanations(
        self, asked: Question, card: ModelCard, options: Mapping[str, Any], vectors: Mapping[int, Vector]
    ) -> dict[int, Explanation]:
        """How the model reads the texts, in places of the text as it was sent."""
        vectors = {position: one for position, one in vectors.items() if asked.inputs[position].text is not None}
        if card.provider or not vectors:
            return {}
        texts = [str(asked.inputs[position].text) for position in vectors]
        prefix = prefix_of(card, asked.direction, options.get("instruction"))
        prefixes = ["" if text.startswith(prefix) else prefix for text in texts]
        own = {k: value for k, value in without_keys(options)[0].items() if k not in {"mrl", "instruction"}}
        batch = Batch([prefix + text for prefix, text in zip(prefixes, texts, strict=True)], asked.direction, own)
        indices = [v.indices.tolist() if isinstance(v, SparseVector) else [] for v in vectors.values()]
        read = await self._models[card.network].explain(batch, indices)
        return {
            position: _moved(explanation, len(prefix))
            for position, explanation, prefix in zip(vectors, read, prefixes, strict=True)
        }


def _without_place(message: str, slot: Slot) -> str:
    """What is wrong, without the input's place, of which the answer tells otherwise."""
    before, _, rest = message.partition(": ")
    return rest if before.startswith(slot.where) and rest else message


def _slots(asked: Question, card: ModelCard, options: Mapping[str, Any], vectors: dict[int, Vector]) -> dict[int, Slot]:
    """The inputs that the model reads, by their places, and `vectors` as the place where theirs go.

    Raises:
        WrongInput: it is a reranker, which reads no input by itself.
    """
    if card.vector_kind == "score":
        raise WrongInput(f"models: {card.name} is a reranker, without vectors: POST /v2/rerank")
    return {
        position: Slot(
            f"inputs[{position}]",
            InferenceObject(reads, data, card.name, options),
            named=True,
            put=partial(vectors.__setitem__, position),
        )
        for position, one in enumerate(asked.inputs)
        for reads in card.reads
        if (data := one.image if reads == "image" else one.text) is not None
    }


def _moved(explanation: Explanation, by: int) -> Explanation:
    """An explanation of a text without its prefix, whose tokens stand nowhere then."""
    spans = [(span[0] - by, span[1] - by) if span and span[0] >= by else None for span in explanation.spans]
    end = explanation.truncated_at
    moved_end = None if end is None else max(0, end - by)
    return Explanation(explanation.tokens, spans, moved_end, explanation.cut, explanation.words)


def _output(model: str, seconds: float, tokens: int, error: str | None, outputs: Sequence[Any]) -> dict[str, Any]:
    return {
        "model": model,
        "time_ms": round(seconds * 1000, 3),
        "tokens": tokens,
        "error": error,
        "outputs": outputs,
    }


def _shown(position: int, vector: Vector, explanation: Explanation | None) -> dict[str, Any]:
    return {
        "input": position,
        "tokens": _tokens(explanation) if explanation else None,
        "truncated_at": explanation.truncated_at if explanation else None,
        "tokens_cut": explanation.cut if explanation else 0,
        "error": None,
        **_by_kind(vector, explanation.words if explanation else {}),
    }


_KINDS: Mapping[str, Any] = {"dense": None, "sparse": None, "multivector": None}
_NO_OUTPUT: Mapping[str, Any] = {"tokens": None, "truncated_at": None, "tokens_cut": 0, **_KINDS}


def _by_kind(vector: Vector, words: Mapping[int, str]) -> dict[str, Any]:
    """The vector under the name of its kind, and nothing under the others'."""
    kinds = dict(_KINDS)
    if isinstance(vector, SparseVector):
        known = [words.get(index) for index in vector.indices.tolist()]
        return {**kinds, "sparse": {"indices": vector.indices, "values": vector.values, "words": known}}
    rows = np.ascontiguousarray(vector)
    if rows.ndim > 1:
        return {**kinds, "multivector": {"shape": rows.shape, "rows": rows}}
    return {**kinds, "dense": rows}


def _tokens(explanation: Explanation) -> list[dict[str, Any]]:
    spans = [span or (None, None) for span in explanation.spans]
    return [
        {"text": token, "start": start, "end": end}
        for token, (start, end) in zip(explanation.tokens, spans, strict=True)
    ]
