"""The attacks that need no cluster, over a real socket: the gateway and its server, with a fake model and store."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest

from deployments.catalogue.catalogue import Catalogue
from tests.attack.attacks import QUICK, Attack, Target, attempt
from tests.attack.costs import MOST_BYTES, MOST_SECONDS, of_strangers
from tests.support.management import KEYS, World, make_world
from tests.support.serving import served_beside
from tests.support.tokens import token

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, starter: Catalogue) -> Iterator[Target]:
    world: World = make_world(tmp_path_factory.mktemp("attack"), qdrant_jwt_rbac=True, **KEYS)
    with served_beside(world.http) as port:
        key = KEYS["qdrant_api_key"]
        limited = token({"access": [{"collection": "c", "access": "r"}]}, key.encode()).decode()
        target = Target(port, key, limited, "b/bm25", lambda: psutil.Process().memory_info().rss)
        yield target
        target.client.close()


async def test_strangers_cost_little() -> None:
    """Their time is measured by `make attack`, on a machine that does nothing else."""
    for one in await of_strangers():
        assert one.memory < MOST_BYTES, one
        assert one.seconds < 25 * MOST_SECONDS, one


@pytest.mark.parametrize("attack", QUICK, ids=lambda attack: attack.__name__)
def test_an_attack_is_held(target: Target, attack: Attack) -> None:
    outcome = attempt(attack, target)
    assert outcome.held, outcome
