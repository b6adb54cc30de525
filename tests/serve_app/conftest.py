from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from deployments.providers.providers import Providers
from tests.support.gateway import Gateway
from tests.support.management import World, make_world
from tests.support.provider_sites import LocalProviders, ProviderSite


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Callable[..., World]]:
    """Makes worlds, all on the same database."""
    made: list[World] = []

    def make(*arguments: Any, **variables: Any) -> World:
        made.append(make_world(tmp_path, *arguments, **variables))
        return made[-1]

    yield make
    for each in made:
        await each.ledger.close()


@pytest.fixture
async def outside(site: ProviderSite) -> AsyncIterator[LocalProviders]:
    """The deployment that calls them, in this process."""
    providers = Providers([site.host])
    await providers.reconfigure({"timeout_s": 5})
    yield LocalProviders(providers)
    await providers.close()
