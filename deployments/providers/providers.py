"""The Serve deployment `Providers`: takes batches for external providers, gives embeddings, or what went wrong.

Errors are results here and not raised: Ray Serve logs what a replica raises, and the words of a provider may quote an
input.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import orjson

from deployments.catalogue.providers import PROVIDERS, host_of
from deployments.catalogue.records import validated
from deployments.contract import DenseVectors, Embeddings, ProviderBatch, ProviderKey, ProviderState
from deployments.errors import (
    BadOption,
    DeadlineExceeded,
    InferenceError,
    InternalError,
    KeyRefused,
    ModelUnavailable,
    Overloaded,
    RequestError,
)
from deployments.metrics import export
from deployments.metrics.providers import CALL_SECONDS, CALLS, RETRIES
from deployments.providers.answers import MOST_DIMENSIONS, UnsoundAnswerError, rows, spread
from deployments.providers.circuit import Circuits, who
from deployments.providers.client import Call, Client
from deployments.providers.refusals import refusal
from deployments.providers.replies import Reply
from deployments.providers.settings import ProvidersSettings
from deployments.providers.translators import TRANSLATORS

log = logging.getLogger("ray.serve")

_OF_AN_ANSWER = 1024 * 1024
_OF_A_NUMBER = 32
_NUMBERS = 4096
"""Of a vector, if nobody says how long it should be."""

_IMAGE_CHARACTERS = 200
"""An image counts as a text of so many where a provider says only what all inputs took."""


class Providers:
    """Calls providers at the addresses that the configuration allows."""

    def __init__(self, hosts: Sequence[str]) -> None:
        """`hosts`: names and ports of all providers that may be called."""
        self._hosts = frozenset(hosts)
        self._settings = ProvidersSettings()
        self._client: Client | None = None
        self._circuits = Circuits()
        self._states: dict[str, ProviderState] = {}
        self._stop_exporting = export.start(lambda: None)

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take new settings; calls under way end as they began.

        Raises:
            ConfigError: an unknown key or a bad value.
        """
        self._settings = validated(ProvidersSettings, user_config, "user_config of 'Providers'")
        old, self._client = self._client, Client(self._settings)
        if old:
            await old.close()

    async def embed(self, call: ProviderBatch) -> Embeddings | InferenceError:
        """The embeddings of a batch, or why there are none. Nothing is raised."""
        began = perf_counter()
        try:
            result: Embeddings | InferenceError = await self._embed(call)
        except InferenceError as error:
            result = error
        except Exception as error:  # noqa: BLE001  its text may hold what nobody else may read
            log.error("a call of a provider failed with %s", type(error).__name__)  # noqa: TRY400
            result = InternalError("an internal error; the server's log has its kind")
        self._note(call, result)
        CALLS.add(1, call.target.account, _outcome(result))
        CALL_SECONDS.observe(perf_counter() - began, call.target.account)
        return result

    async def states(self) -> Mapping[str, ProviderState]:
        """How the calls of each account went, as this replica saw it."""
        return self._states

    async def _embed(self, call: ProviderBatch) -> Embeddings:
        target, settings = call.target, self._settings
        if host_of(target.url) not in self._hosts:
            raise ModelUnavailable(f"the configuration does not allow to call the provider of {target.name}", 60)
        secret = _secret(call.key, target.name)
        request = self._call(call, secret)
        asked = who(target.url, secret)
        self._circuits.check(asked, target.name, settings)
        self._client = self._client or Client(settings)
        try:
            reply = await self._client.send(request)
        except (ModelUnavailable, DeadlineExceeded):
            self._circuits.failed(asked, settings)
            raise
        RETRIES.add(reply.tries - 1, target.account)
        return self._judged(call, reply, asked, secret)

    def _call(self, call: ProviderBatch, secret: str | None) -> Call:
        translator = TRANSLATORS[call.target.kind]
        headers = {"content-type": "application/json", "accept": "application/json", "accept-encoding": "identity"}
        if secret:
            headers["authorization"] = f"Bearer {secret}"
        body = orjson.dumps(translator.body(call))
        most_bytes = _OF_AN_ANSWER + len(call.batch) * _OF_A_NUMBER * (_dimensions(call) or _NUMBERS)
        return Call(call.target.url + translator.path, headers, body, most_bytes, call.target.name)

    def _judged(self, call: ProviderBatch, reply: Reply, asked: Any, secret: str | None) -> Embeddings:
        """What a reply means, for the call and for those that come after it."""
        if reply.status != 200:  # noqa: PLR2004
            error = refusal(reply, call.target, call.key, secret)
            if isinstance(error, Overloaded) and (seconds := reply.retry_after):
                self._circuits.limited(asked, seconds)
            elif isinstance(error, (ModelUnavailable, DeadlineExceeded)):
                self._circuits.failed(asked, self._settings)
            elif isinstance(error, RequestError):
                self._circuits.answered(asked)
            raise error
        try:
            embeddings = _embeddings(call, reply)
        except UnsoundAnswerError as error:
            self._circuits.failed(asked, self._settings)
            raise ModelUnavailable(f"the provider of {call.target.name} {error}", 10) from None
        self._circuits.answered(asked)
        return embeddings

    def _note(self, call: ProviderBatch, result: Embeddings | InferenceError) -> None:
        """Remember for the console how the call went. The caller's own faults say nothing of the provider."""
        account = call.target.account
        if isinstance(result, (Embeddings, KeyRefused)):
            self._states[account] = replace(self._states.get(account, ProviderState()), reachable=True)
        elif not isinstance(result, (RequestError, Overloaded)):
            self._states[account] = ProviderState(False, _of_account(result, call), time.time())  # noqa: FBT003

    async def close(self) -> None:
        """End all connections."""
        self._stop_exporting()
        if self._client:
            await self._client.close()


class ProvidersReplica(Providers):
    """A replica, as Ray Serve runs it."""

    async def __del__(self) -> None:
        """Serve awaits this when it stops a replica."""
        await self.close()


def _of_account(error: InferenceError, call: ProviderBatch) -> str:
    """An error in the words of its account: a name that a caller chose is not shown to others."""
    return error.message.replace(call.target.name, call.target.account)


def _secret(key: ProviderKey | None, name: str) -> str | None:
    """The key itself."""
    if key is None:
        return None
    if key.secret is not None:
        return key.secret.get_secret_value()
    secret = os.environ.get(key.variable or "", "").strip()
    if not secret:
        raise ModelUnavailable(f"the {key.owner}'s key for {name} is not in the environment of the providers", 60)
    if not (secret.isascii() and secret.isprintable()):
        raise BadOption(f"the {key.owner}'s key for {name} has characters that no key has")
    return secret


def _embeddings(call: ProviderBatch, reply: Reply) -> Embeddings:
    """The embeddings in a reply, checked.

    Raises:
        UnsoundAnswerError: it holds none.
    """
    try:
        content = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        raise UnsoundAnswerError("gave something else than JSON") from None
    answer = TRANSLATORS[call.target.kind].answer(content, reply.headers)
    vectors = rows(answer.vectors, len(call.batch), _dimensions(call))
    sizes = [_IMAGE_CHARACTERS if call.reads == "image" else len(value) for value in call.batch.inputs]
    return Embeddings(DenseVectors(vectors), spread(answer.tokens, sizes))


def _dimensions(call: ProviderBatch) -> int | None:
    """How long the vectors should be, if the caller or the catalogue says so."""
    asked = call.batch.options.get(PROVIDERS[call.target.kind].dimensions)
    return asked if type(asked) is int and 0 < asked <= MOST_DIMENSIONS else call.target.dimensions


def _outcome(result: Embeddings | InferenceError) -> str:
    return "ok" if isinstance(result, Embeddings) else result.kind.value
