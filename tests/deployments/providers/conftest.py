from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.provider_sites import ProviderSite


@pytest.fixture
async def site() -> AsyncIterator[ProviderSite]:
    """All providers, at a server of this process."""
    made = ProviderSite()
    await made.start()
    yield made
    await made.close()
