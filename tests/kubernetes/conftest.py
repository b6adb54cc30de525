"""API servers of these tests, which are started by `make test-manifests` alone: they take minutes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.control_plane import ControlPlane, running
from tests.support.kubernetes_programs import missing


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    if "API_SERVER" not in os.environ:
        pytest.skip("run by `make test-manifests`")
    if missing():
        pytest.skip("Kubernetes's programs are not there; `make test-manifests` builds them (etcd is Debian's)")


@pytest.fixture(scope="session")
def api(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server alone."""
    with running(tmp_path_factory.mktemp("api"), controllers=False) as plane:
        yield plane
