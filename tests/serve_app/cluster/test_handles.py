"""How the ingress calls other deployments, without Ray: a call is anything that can be awaited and cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError

from deployments.contract import Batch, ImageBatch
from deployments.errors import ModelUnavailable
from serve_app.cluster.handles import ReplicatedImageLoader, ReplicatedModel, surely
from serve_app.cluster.near import Machine

NOWHERE = Machine(None, "", lambda: 1)


class Response:
    """What Serve gives for a call; it fails `times` times before that."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.answer = answer
        self.cancelled = False

    def __await__(self) -> Generator[Any, None, Any]:
        return self.answer().__await__()

    def cancel(self) -> None:
        self.cancelled = True


class Dying:
    """A deployment whose replicas die `times` times."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.calls = 0

    def __call__(self, *_: Any) -> Response:
        self.calls += 1
        return Response(self.answer)

    async def answer(self) -> str:
        self.left -= 1
        if self.left >= 0:
            raise ActorDiedError
        return "done"


async def test_what_a_dying_replica_leaves_is_done_by_another() -> None:
    model = Dying(2)
    assert await surely(model, "m") == "done"
    assert model.calls == 3


async def test_it_is_not_tried_for_ever() -> None:
    model = Dying(9)
    with pytest.raises(ModelUnavailable, match="m did not answer"):
        await surely(model, "m")
    assert model.calls == 3


async def test_images_are_fetched_twice_at_most() -> None:
    loader = Dying(9)
    handle: Any = SimpleNamespace(load=SimpleNamespace(remote=loader))
    with pytest.raises(ModelUnavailable, match="the image loader did not answer"):
        await ReplicatedImageLoader(handle).load(ImageBatch(["http://a/b.png"], "m", 8, 100, 100))
    assert loader.calls == 2


async def test_who_gives_up_cancels_the_call() -> None:
    response = Response(lambda: asyncio.sleep(60))
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(surely(lambda: response, "m"), 0.05)
    assert response.cancelled


class Handle:
    """A handle of a deployment that answers with the method's name and what it was called with."""

    def __init__(self) -> None:
        self.running, self.explain, self.texts = (Method(name) for name in ("running", "explain", "texts"))

    def options(self, method_name: str) -> Method:
        return Method(method_name)


class Method:
    def __init__(self, name: str) -> None:
        self.name = name

    def remote(self, *arguments: Any) -> Response:
        async def answer() -> Any:
            return (self.name, *arguments)

        return Response(answer)


async def test_each_method_of_a_model_is_one_of_its_replicas() -> None:
    handle: Any = Handle()
    model, batch = ReplicatedModel("m", handle, NOWHERE.near("", "m")), Batch(["a"], "search")
    answers: list[Any] = [
        await model.embed(batch),
        await model.running(),
        await model.explain(batch, [[1]]),
        await model.texts([[2]]),
    ]
    assert answers == [("embed", batch), ("running",), ("explain", batch, [[1]]), ("texts", [[2]])]
