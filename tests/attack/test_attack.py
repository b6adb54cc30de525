"""The attacks that need no cluster, over a real socket: the gateway under uvicorn, with a fake model and store."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psutil
import pytest
import uvicorn

from deployments.catalogue.catalogue import Catalogue
from tests.attack.attacks import QUICK, Attack, Target, attempt
from tests.attack.costs import MOST_BYTES, MOST_SECONDS, of_strangers
from tests.support.management import KEYS, World, make_world
from tests.support.running import free_ports
from tests.support.tokens import token

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, starter: Catalogue) -> Iterator[Target]:
    world: World = make_world(tmp_path_factory.mktemp("attack"), qdrant_jwt_rbac=True, **KEYS)
    (port,) = free_ports(1)
    server = uvicorn.Server(uvicorn.Config(world.http, port=port, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    key = KEYS["qdrant_api_key"]
    limited = token({"access": [{"collection": "c", "access": "r"}]}, key.encode()).decode()
    target = Target(port, key, limited, "b/bm25", lambda: psutil.Process().memory_info().rss)
    yield target
    target.client.close()
    server.should_exit = True
    thread.join()


async def test_strangers_cost_little() -> None:
    """Their time is measured by `make attack`, on a machine that does nothing else."""
    for one in await of_strangers():
        assert one.memory < MOST_BYTES, one
        assert one.seconds < 25 * MOST_SECONDS, one


@pytest.mark.parametrize("attack", QUICK, ids=lambda attack: attack.__name__)
def test_an_attack_is_held(target: Target, attack: Attack) -> None:
    outcome = attempt(attack, target)
    assert outcome.held, outcome
