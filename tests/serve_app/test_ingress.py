"""How the ingress calls other deployments, without Ray: a call is anything that can be awaited and cancelled."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError

from deployments.catalogue.catalogue import HOME
from deployments.contract import ImageBatch
from deployments.errors import ModelUnavailable
from serve_app.ingress import Ingress, _image_call, _surely
from serve_app.ledger.database import Database
from serve_app.ledger.switches import SwitchChange, Switches


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
    assert await _surely(model, "m") == "done"
    assert model.calls == 3


async def test_it_is_not_tried_for_ever() -> None:
    model = Dying(9)
    with pytest.raises(ModelUnavailable, match="m did not answer"):
        await _surely(model, "m")
    assert model.calls == 3


async def test_images_are_fetched_twice_at_most() -> None:
    loader = Dying(9)
    handle: Any = SimpleNamespace(load=SimpleNamespace(remote=loader))
    with pytest.raises(ModelUnavailable, match="the image loader did not answer"):
        await _image_call(handle)(ImageBatch(["http://a/b.png"], "m"))
    assert loader.calls == 2


async def test_who_gives_up_cancels_the_call() -> None:
    response = Response(lambda: asyncio.sleep(60))
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(_surely(lambda: response, "m"), 0.05)
    assert response.cancelled


@pytest.mark.filterwarnings("ignore:coroutine '.*__del__' was never awaited")  # which Ray Serve does
async def test_a_replica_knows_what_is_switched_off_before_it_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QDRANT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("QDRANT_INFERENCE_DATA", str(tmp_path))
    database = Database(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    database.switch(SwitchChange(models={"m": False}))
    database.close()
    ingress = Ingress.__new__(Ingress)
    await ingress.__init__(str(HOME / "configs/models/starter.yaml"), {}, None, None)  # type: ignore[misc]
    assert ingress._ledger.switches == Switches(models=frozenset({"m"}))
    await ingress.__del__()
    del ingress
    gc.collect()
