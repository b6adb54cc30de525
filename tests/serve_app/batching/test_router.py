from __future__ import annotations

import asyncio
import contextvars
import time
from typing import Any

import numpy as np
import pytest

from deployments.contract import Batch, DenseVectors, Embeddings
from deployments.errors import InferenceError, InternalError, KeyRefused, ModelUnavailable, WrongInput
from serve_app.batching.router import Router
from serve_app.config.settings import Coalescing, IngressSettings, LiveSettings
from tests.support.fakes import FakeModel, dense


class HeldModel(FakeModel):
    """Answers a batch only when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[asyncio.Event] = []

    async def __call__(self, batch: Batch) -> Embeddings:
        go_on = asyncio.Event()
        self.held.append(go_on)
        answer = await super().__call__(batch)
        await go_on.wait()
        return answer


def coalescing(**settings: int) -> LiveSettings:
    return LiveSettings(IngressSettings(coalescing=Coalescing(**settings)))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def sent(model: FakeModel) -> list[list[Any]]:
    return [list(batch.inputs) for batch in model.batches]


async def test_a_lone_request_is_sent_at_once_and_gets_its_vectors_in_order() -> None:
    model = FakeModel()
    vectors, tokens = await Router({"m": model}, coalescing()).embed("m", "search", {}, ["b", "aa", "c"])
    assert sent(model) == [["b", "aa", "c"]]
    assert np.array_equal(vectors, [dense("b"), dense("aa"), dense("c")])
    assert tokens == 4


async def test_what_comes_while_enough_partial_batches_are_out_shares_the_next_batch() -> None:
    model = HeldModel()
    router = Router({"m": model}, coalescing(max_partial_batches=1))
    requests = [asyncio.create_task(router.embed("m", "search", {}, [text])) for text in ("a", "b", "c")]
    await settle()
    assert sent(model) == [["a"]]
    model.held[0].set()
    await settle()
    assert sent(model) == [["a"], ["b", "c"]]
    model.held[1].set()
    results = await asyncio.gather(*requests)
    assert [np.array_equal(r[0][0], dense(text)) for r, text in zip(results, "abc", strict=True)] == [True] * 3


async def test_full_batches_are_never_held_back() -> None:
    model = HeldModel()
    router = Router({"m": model}, coalescing(inputs=2, max_partial_batches=1))
    request = asyncio.create_task(router.embed("m", "update", {}, ["a", "b", "c", "d", "e"]))
    await settle()
    assert sent(model) == [["a", "b"], ["c", "d"]]
    model.held[0].set()
    await settle()
    assert sent(model) == [["a", "b"], ["c", "d"]], "a partial batch waits while enough of them are out"
    model.held[1].set()
    await settle()
    assert sent(model)[2:] == [["e"]]
    model.held[2].set()
    vectors, _ = await request
    assert np.array_equal(vectors, [dense(text) for text in "abcde"])


async def test_a_second_batch_leaves_once_it_is_as_large_as_the_first() -> None:
    model = HeldModel()
    router = Router({"m": model}, coalescing(max_partial_batches=2))
    requests = [asyncio.create_task(router.embed("m", "search", {}, texts)) for texts in (["a", "b"], ["c"])]
    await settle()
    assert sent(model) == [["a", "b"]], "one waits for another"
    requests.append(asyncio.create_task(router.embed("m", "search", {}, ["d"])))
    await settle()
    assert sent(model) == [["a", "b"], ["c", "d"]]
    requests.append(asyncio.create_task(router.embed("m", "search", {}, ["e", "f", "g"])))
    await settle()
    assert len(sent(model)) == 2, "enough are out"
    model.held[1].set()
    await settle()
    assert sent(model)[2:] == [["e", "f", "g"]]
    for go_on in model.held:
        go_on.set()
    await asyncio.gather(*requests)


async def test_a_batch_is_full_by_characters_too() -> None:
    model = FakeModel()
    await Router({"m": model}, coalescing(characters=5)).embed("m", "update", {}, ["aaa", "bb", "c", "dddddddd", "e"])
    assert sent(model) == [["aaa", "bb"], ["c"], ["dddddddd"], ["e"]]


async def test_searches_do_not_stand_behind_updates_nor_behind_other_options() -> None:
    model = HeldModel()
    router = Router({"m": model}, coalescing(max_partial_batches=1))
    requests = [
        asyncio.create_task(router.embed("m", "update", {}, ["a"])),
        asyncio.create_task(router.embed("m", "update", {}, ["b"])),
        asyncio.create_task(router.embed("m", "search", {}, ["c"])),
        asyncio.create_task(router.embed("m", "search", {"k": 2}, ["d"])),
    ]
    await settle()
    assert sent(model) == [["a"], ["c"], ["d"]]
    while not all(request.done() for request in requests):
        for go_on in model.held:
            go_on.set()
        await settle()
    assert not router.queues, "queues that nobody uses are not kept"


async def test_an_error_reaches_every_request_of_its_batch_and_no_other() -> None:
    answers = iter([ModelUnavailable("gone"), None])
    model = FakeModel()

    async def call(batch: Batch) -> Embeddings:
        if error := next(answers):
            raise error
        return await model(batch)

    router = Router({"m": call}, coalescing())
    first = asyncio.create_task(router.embed("m", "search", {}, ["a"]))
    with pytest.raises(ModelUnavailable):
        await first
    assert (await router.embed("m", "search", {}, ["b"]))[1] == 1


async def test_a_cancelled_request_leaves_the_queue() -> None:
    model = HeldModel()
    router = Router({"m": model}, coalescing(max_partial_batches=1))
    first, second, third = (asyncio.create_task(router.embed("m", "search", {}, [text])) for text in "abc")
    await settle()
    second.cancel()
    await settle()
    model.held[0].set()
    await settle()
    assert sent(model) == [["a"], ["c"]]
    model.held[1].set()
    await asyncio.gather(first, third)


class CancellableModel(HeldModel):
    """Keeps what was cancelled, too."""

    def __init__(self) -> None:
        super().__init__()
        self.cancelled: list[list[Any]] = []

    async def __call__(self, batch: Batch) -> Embeddings:
        try:
            return await super().__call__(batch)
        except asyncio.CancelledError:
            self.cancelled.append(list(batch.inputs))
            raise


async def test_a_batch_under_way_is_cancelled_once_nobody_waits_for_it() -> None:
    model = CancellableModel()
    router = Router({"m": model}, coalescing(max_partial_batches=1))
    first, second, third = (asyncio.create_task(router.embed("m", "search", {}, [text])) for text in "abc")
    await settle()
    first.cancel()
    await settle()
    assert sent(model) == [["a"], ["b", "c"]]
    second.cancel()
    await settle()
    assert model.cancelled == [["a"]]
    third.cancel()
    await settle()
    assert model.cancelled == [["a"], ["b", "c"]]
    assert not router.queues


async def test_a_lone_request_waits_until_its_time_is_over() -> None:
    model = CancellableModel()
    router = Router({"m": model}, coalescing())
    for _ in range(2):
        with pytest.raises(asyncio.TimeoutError):
            await router.embed("m", "search", {}, ["a"], until=time.monotonic() + 0.01)
    assert model.cancelled == [["a"], ["a"]]
    assert not router.queues
    await asyncio.wait_for(asyncio.sleep(0.03), 5)  # the task that waited is not cancelled any more


async def test_one_failure_cancels_the_rest_of_a_request() -> None:
    model = CancellableModel()
    calls = iter([model, failing])

    async def call(batch: Batch) -> Embeddings:
        return await next(calls)(batch)

    with pytest.raises(InternalError):
        await Router({"m": call}, coalescing(inputs=1)).embed("m", "search", {}, ["a", "b"])
    await settle()
    assert model.cancelled == [["a"]]


async def failing(batch: Batch) -> Embeddings:
    raise InternalError("broken")


async def test_a_call_that_is_cancelled_from_elsewhere_is_told_to_all_who_wait() -> None:
    async def call(batch: Batch) -> Embeddings:
        raise asyncio.CancelledError

    with pytest.raises(ModelUnavailable):
        await asyncio.wait_for(Router({"m": call}, coalescing()).embed("m", "search", {}, ["a"]), 5)


async def test_a_lone_call_whose_future_is_cancelled_from_elsewhere_ends_so_too() -> None:
    async def call(batch: Batch) -> Embeddings:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.cancel)
        await future
        raise AssertionError

    with pytest.raises(ModelUnavailable):
        await Router({"m": call}, coalescing()).embed("m", "search", {}, ["a"])


async def test_a_batch_is_sent_in_the_context_of_no_request() -> None:
    seen: list[str] = []
    request = contextvars.ContextVar("request", default="none")

    class Looking(HeldModel):
        async def __call__(self, batch: Batch) -> Embeddings:
            seen.append(request.get())
            return await super().__call__(batch)

    async def ask(text: str) -> None:
        request.set(text)
        await router.embed("m", "search", {}, [text])

    model = Looking()
    router = Router({"m": model}, coalescing(max_partial_batches=1))
    asked = asyncio.gather(ask("a"), ask("b"))
    await settle()
    model.held[0].set()
    await settle()
    model.held[1].set()
    await asked
    assert seen == ["none", "none"]


async def test_too_few_vectors_are_an_error() -> None:
    async def call(batch: Batch) -> Embeddings:
        return Embeddings(DenseVectors(np.zeros((1, 4), np.float32)), np.array([1]))

    with pytest.raises(InternalError, match="2 inputs came back with 1 vectors"):
        await Router({"m": call}, coalescing()).embed("m", "search", {}, ["a", "b"])


async def test_new_settings_send_what_waits_in_a_busy_queue() -> None:
    model, settings = HeldModel(), coalescing(max_partial_batches=1)
    router = Router({"m": model}, settings)
    requests = [asyncio.create_task(router.embed("m", "search", {}, [text])) for text in "ab"]
    await settle()
    assert sent(model) == [["a"]]
    settings.replace(IngressSettings(coalescing=Coalescing(max_partial_batches=2)))
    await settle()
    assert sent(model) == [["a"], ["b"]]
    for go_on in model.held:
        go_on.set()
    await asyncio.gather(*requests)


@pytest.mark.parametrize(("error", "alone"), [(WrongInput, True), (KeyRefused, False), (ModelUnavailable, False)])
async def test_an_input_that_is_wrong_fails_its_own_request_alone(error: type[InferenceError], alone: bool) -> None:
    calls: list[list[str]] = []

    async def model(batch: Batch) -> Embeddings:
        calls.append([str(value) for value in batch.inputs])
        await settle()
        if "bad" in batch.inputs:
            raise error("no")
        return await FakeModel()(batch)

    router = Router({"m": model}, coalescing(max_partial_batches=1))
    texts = ["first", "a", "bad", "b"]
    requests = [asyncio.create_task(router.embed("m", "search", {}, [text])) for text in texts]
    results = await asyncio.gather(*requests, return_exceptions=True)
    failed = [isinstance(result, BaseException) for result in results]
    assert calls[:2] == [["first"], ["a", "bad", "b"]]
    assert calls[2:] == ([["a"], ["bad"], ["b"]] if alone else [])
    assert failed == ([False, False, True, False] if alone else [False, True, True, True])
    assert router.queues == 0
