"""One service for all tests that need a whole one; it starts with the first of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.running import RunningService


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with the starter models and an empty embedded store."""
    running = RunningService(tmp_path_factory.mktemp("service")).start()
    yield running
    assert running.stop() == 0, running.said
    assert running.left == [], "processes were left behind"
