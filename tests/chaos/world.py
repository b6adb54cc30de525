"""What a fault is let loose on: a service with a Qdrant behind it, all of it as processes of their own."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from benchmarks.processes import deployment, kind
from serve_app.cli.ports import check_free
from tests.chaos import known
from tests.chaos.known import Content
from tests.chaos.load import REQUEST_TIMEOUT_S, Load
from tests.chaos.store import StoreProcess
from tests.support.fault_proxy import FaultProxy
from tests.support.running import RunningService, free_ports

MINILM = "sentence-transformers/all-minilm-l6-v2"
VISION = "starter/clip-shapes-vision"
MINILM_DEPLOYMENT = MINILM.replace("/", "--")
_CONTROL_S = 180
_PAGE = 500


@dataclass
class World:
    """A service under test. `store` and `fault_proxy` are there where the store is not embedded."""

    service: RunningService
    store: StoreProcess | None = None
    fault_proxy: FaultProxy | None = None
    contents: Sequence[Content] = ()
    loads: int = 0

    async def learn(self) -> None:
        """Ask for the vectors of all inputs, while nothing is broken."""
        async with httpx.AsyncClient(base_url=self.service.rest_address) as client:
            self.contents = [
                await known.ask(client, "text", MINILM, known.texts()),
                await known.ask(client, "image", VISION, known.images()),
            ]

    async def load(self, ids: Callable[[], Iterator[int]] = itertools.count, points: int = 4) -> Load:
        """A load with collections of its own, which are empty; `points` are in each upsert."""
        self.loads += 1
        collections = {f"{content.kind}s-{self.loads}": content for content in self.contents}
        async with httpx.AsyncClient(base_url=self.service.rest_address, timeout=60) as client:
            for name, content in collections.items():
                size = content.vectors.shape[1]
                body = {"vectors": {"size": size, "distance": "Cosine"}}
                (await client.put(f"/collections/{name}", json=body)).raise_for_status()
        return Load(self.service.rest_address, f"127.0.0.1:{self.service.grpc_port}", collections, ids, points)

    async def check(self, load: Load) -> list[str]:
        """What is wrong with what is stored. A store of its own is killed first, so that this is what is on disk."""
        if self.store and self.fault_proxy:
            await self.restart_store(self.store, self.fault_proxy)
        address = self.store.rest_address if self.store else self.service.rest_address
        found = []
        async with httpx.AsyncClient(base_url=address, timeout=60) as client:
            for name, content in load.collections.items():
                stored = await stored_points(client, name)
                found += faults_of(name, content, load.acknowledged[name], stored)
                (await client.delete(f"/collections/{name}")).raise_for_status()
        return found

    async def restart_store(self, store: StoreProcess, fault_proxy: FaultProxy, away_s: float = 0) -> None:
        """Kill the store, start it again, and let nobody connect meanwhile."""
        await fault_proxy.stop()
        store.kill()
        await asyncio.sleep(away_s)
        await asyncio.to_thread(store.start)
        await fault_proxy.start()

    def replicas(self, deployment: str) -> list[psutil.Process]:
        """The processes of a deployment's replicas."""
        return [process for process in self.service.family() if _kind(process) == deployment]

    def deploy(self, change: Callable[[Any], None]) -> None:
        """Have the running service take a changed config, and wait until it has.

        `change` is given the application's part of the config to alter.
        """
        config = yaml.safe_load(self.service.config.read_text())
        change(config["applications"][0])
        self.service.config.write_text(yaml.safe_dump(config))
        address, environment = self._control_service()
        run = subprocess.run(
            [sys.executable, "-m", "tests.chaos.deploy", address, str(self.service.config)],
            env=environment,
            timeout=_CONTROL_S,
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise RuntimeError(f"the config update failed: {run.stderr[-2000:]}")

    def _control_service(self) -> tuple[str, dict[str, str]]:
        """Where Ray's control service of this run listens, and the environment of its processes, with Ray's token."""
        for process in self.service.family():
            found = re.search(r"--gcs-address=(\S+)", " ".join(process.cmdline()))
            if found:
                return found[1], process.environ()
        raise RuntimeError("no Ray runs here")


def _kind(process: psutil.Process) -> str:
    try:
        return kind(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


async def stored_points(client: httpx.AsyncClient, collection: str) -> dict[int, list[float]]:
    """The vectors of all points of a collection, by their ids."""
    points: dict[int, list[float]] = {}
    offset: int | None = 0
    while offset is not None:
        body = {"limit": _PAGE, "offset": offset, "with_vector": True, "with_payload": False}
        answer = await client.post(f"/collections/{collection}/points/scroll", json=body)
        answer.raise_for_status()
        result = answer.json()["result"]
        points.update((point["id"], point["vector"]) for point in result["points"])
        offset = result["next_page_offset"]
    return points


def faults_of(name: str, content: Content, acknowledged: set[int], stored: dict[int, list[float]]) -> list[str]:
    """What is wrong with a collection: acknowledged points that it has not, and vectors that are not their input's."""
    missing = acknowledged - stored.keys()
    wrong = [number for number, vector in stored.items() if not content.is_right(number, vector)]
    lost = [f"{len(missing)} acknowledged points of {name} are gone"] if missing else []
    return lost + ([f"{len(wrong)} points of {name} have a wrong vector"] if wrong else [])


def change_application(service: RunningService, change: Callable[[Any], None]) -> None:
    """Alter the application's part of a config before the start."""
    config = yaml.safe_load(service.config.read_text())
    change(config["applications"][0])
    for options in ("http_options", "grpc_options"):
        config[options]["request_timeout_s"] = REQUEST_TIMEOUT_S
    service.config.write_text(yaml.safe_dump(config))


def two_models(application: Any) -> None:
    """A small application: a text model with two replicas behind an ingress with two, and an image model."""
    application["args"]["models"] = [MINILM, VISION]
    replicas = {"Ingress": 2, "ImageLoader": 1, MINILM_DEPLOYMENT: 2, VISION.replace("/", "--"): 1}
    application["deployments"] = [
        {**entry, "num_replicas": replicas[entry["name"]]}
        for entry in application["deployments"]
        if entry["name"] in replicas
    ]
    limit_s = REQUEST_TIMEOUT_S - 4
    deployment(application, "Ingress")["user_config"].update(timeout_s=limit_s, qdrant_timeout_s=limit_s)


def new_service(folder: Path, environment: dict[str, str] | None = None, command: Sequence[str] = ()) -> RunningService:
    """A service that is not started yet; its Ray has a token of its own, which lets in who gives it a new config."""
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    service = RunningService(folder, {**token, **(environment or {})})
    if command:
        service.command = command
    change_application(service, two_models)
    return service


@asynccontextmanager
async def embedded(environment: dict[str, str] | None = None, command: Sequence[str] = ()) -> AsyncIterator[World]:
    """A world whose store is embedded."""
    with tempfile.TemporaryDirectory() as folder:
        async with _stopped(World(new_service(Path(folder), environment, command))) as world:
            yield world


@asynccontextmanager
async def remote(environment: dict[str, str] | None = None, command: Sequence[str] = ()) -> AsyncIterator[World]:
    """A world with a standalone store, and a fault_proxy before it."""
    rest, grpc, store_rest, store_grpc = free_ports(4)
    with tempfile.TemporaryDirectory() as folder:
        store = StoreProcess(Path(folder, "store"), store_rest, store_grpc)
        fault_proxy = FaultProxy(rest, grpc, store_rest, store_grpc)
        way = {"QDRANT_URL": f"http://127.0.0.1:{rest}", "QDRANT_GRPC_URL": f"http://127.0.0.1:{grpc}"}
        service = new_service(Path(folder), {**way, **(environment or {})}, command)
        store.start()
        await fault_proxy.start()
        try:
            async with _stopped(World(service, store, fault_proxy)) as world:
                yield world
        finally:
            await fault_proxy.stop()
            store.kill()


@asynccontextmanager
async def _stopped(world: World) -> AsyncIterator[World]:
    """A world whose service starts with the context, and leaves nothing behind after it."""
    try:
        await asyncio.to_thread(world.service.start)
        await world.learn()
        yield world
    finally:
        if world.service.process.poll() is None:
            await asyncio.to_thread(world.service.stop)


def left_over(service: RunningService) -> list[str]:
    """Processes and ports that a stopped service has left behind."""
    found = [f"process {process.pid} was left running" for process in service.left]
    try:
        check_free({str(port): ("", port) for port in service.ports})
    except Exception as error:  # noqa: BLE001  its text says which
        found.append(str(error))
    return found
