"""The faults: each is a function that does it to a running world, and ends when the world is left to recover.

Those that restart the service or need more than one node stand in `lives.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.processes import deployment
from tests.chaos.load import REQUEST_TIMEOUT_S
from tests.chaos.world import MINILM_DEPLOYMENT, World
from tests.support.fault_proxy import Mode

Fault = Callable[[World], Awaitable[None]]
FAULTS: dict[str, Fault] = {}
"""By name, in the order in which they are done to one service; the last ones leave it changed."""

_LASTS_S = 5.0


def _fault(name: str) -> Callable[[Fault], Fault]:
    def add(function: Fault) -> Fault:
        FAULTS[name] = function
        return function

    return add


def _kill_one(world: World, name: str) -> None:
    world.replicas(name)[0].kill()


@_fault("kill -9 one of two replicas of a model")
async def kill_model_replica(world: World) -> None:
    """The other one takes over."""
    _kill_one(world, MINILM_DEPLOYMENT)


@_fault("kill -9 both replicas of a model")
async def kill_model(world: World) -> None:
    """There is no other one until Serve has started it."""
    for process in world.replicas(MINILM_DEPLOYMENT):
        process.kill()


@_fault("kill -9 one of two ingress replicas")
async def kill_ingress_replica(world: World) -> None:
    """HAProxy sends what follows to the other one."""
    _kill_one(world, "Ingress")


@_fault("kill -9 the image loader")
async def kill_image_loader(world: World) -> None:
    """There is only one."""
    _kill_one(world, "ImageLoader")


@_fault("kill -9 Qdrant, start it again 3 s later")
async def restart_qdrant(world: World) -> None:
    """Nothing listens on Qdrant's ports meanwhile."""
    store, fault_proxy = _behind(world)
    await world.restart_store(store, fault_proxy, away_s=3)


@_fault("Qdrant hangs for 5 s")
async def qdrant_hangs(world: World) -> None:
    """Less than a request's time."""
    await _misbehave(world, Mode.HANGS, _LASTS_S)


@_fault("Qdrant hangs for longer than a request may take")
async def qdrant_hangs_long(world: World) -> None:
    """So that requests have to be ended while Qdrant still hangs."""
    await _misbehave(world, Mode.HANGS, REQUEST_TIMEOUT_S + 3)


@_fault("Qdrant answers 500 for 5 s")
async def qdrant_fails(world: World) -> None:
    """Over gRPC, it ends all connections instead."""
    await _misbehave(world, Mode.FAILS, _LASTS_S)


@_fault("Qdrant closes connections in the middle of its answers for 5 s")
async def qdrant_cuts(world: World) -> None:
    """The writes in question have been carried out."""
    await _misbehave(world, Mode.CUTS, _LASTS_S)


@_fault("Qdrant's disk is full for 5 s")
async def qdrant_full(world: World) -> None:
    """The store is told that there is no room, in place of a small disk; see `small_disk`."""
    store, _ = _behind(world)
    store.fill_disk()
    await asyncio.sleep(_LASTS_S)
    store.empty_disk()


@_fault("a config update from two replicas of a model to three")
async def more_replicas(world: World) -> None:
    """Nothing else changes."""

    def change(application: Any) -> None:
        deployment(application, MINILM_DEPLOYMENT)["num_replicas"] = 3

    await asyncio.to_thread(world.deploy, change)


@_fault("a config update of limits of a model that autoscaling has given more than its least replicas")
async def limits_of_a_scaled_model(world: World) -> None:
    """The model becomes one that is autoscaled, with two replicas at least; then limits change, and one is enough.

    Two are still there after that, as long as no downscale delay is over.
    """

    def autoscale(application: Any) -> None:
        entry = deployment(application, MINILM_DEPLOYMENT)
        entry.pop("num_replicas")
        policy = {"policy_function": "deployments.autoscaling:replicas"}
        delays = {"downscale_delay_s": 600, "upscale_delay_s": 600}
        entry["autoscaling_config"] = {"min_replicas": 2, "max_replicas": 4, "policy": policy, **delays}

    def limit(application: Any) -> None:
        entry = deployment(application, MINILM_DEPLOYMENT)
        entry.update(max_ongoing_requests=12, user_config={"token_budget": 256})
        entry["autoscaling_config"].update(min_replicas=1, max_replicas=3)

    await asyncio.to_thread(world.deploy, autoscale)
    before = {process.pid for process in world.replicas(MINILM_DEPLOYMENT)}
    if len(before) < 2:
        raise RuntimeError("autoscaling has not given the model its two replicas")
    await asyncio.to_thread(world.deploy, limit)
    await asyncio.sleep(_LASTS_S)
    if before - {process.pid for process in world.replicas(MINILM_DEPLOYMENT)}:
        raise RuntimeError("the update of limits ended replicas")


@_fault("a config update that loads a model anew (precision) and adds another model")
async def another_model(world: World) -> None:
    """The ingress has to be replaced for it, because it learns of a new model."""

    def change(application: Any) -> None:
        deployment(application, MINILM_DEPLOYMENT)["user_config"] = {"precision": "float32"}
        application["args"]["models"].append("qdrant/bm25")
        application["deployments"].append({"name": "qdrant--bm25", "ray_actor_options": {"num_cpus": 0.1}})

    await asyncio.to_thread(world.deploy, change)


@_fault("a model file becomes corrupt on disk, and all replicas of the model are killed; it is put right 8 s later")
async def corrupt_model_file(world: World) -> None:
    """Some bytes of the weights change, and neither size nor header."""
    weights = Path(world.service.variables["QDRANT_INFERENCE_CACHE"], MINILM_DEPLOYMENT, "model.safetensors")
    sound = await asyncio.to_thread(_spoil, weights)
    for process in world.replicas(MINILM_DEPLOYMENT):
        process.kill()
    await asyncio.sleep(8)
    await asyncio.to_thread(weights.write_bytes, sound)


def _spoil(weights: Path) -> bytes:
    """Change the second half of a file; gives what was in it."""
    sound = weights.read_bytes()
    middle = len(sound) // 2
    weights.write_bytes(sound[:middle] + sound[middle:][::-1])
    return sound


async def _misbehave(world: World, mode: Mode, seconds: float) -> None:
    _, fault_proxy = _behind(world)
    fault_proxy.become(mode)
    await asyncio.sleep(seconds)
    fault_proxy.become(Mode.PASSES)


def _behind(world: World) -> tuple[Any, Any]:
    assert world.store, "this fault needs a store of its own"
    assert world.fault_proxy
    return world.store, world.fault_proxy
