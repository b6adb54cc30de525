"""Renders the manifests as `kubectl apply -k` would, without a cluster."""

from __future__ import annotations

import pytest

from tests.support.manifests import PLACES, Manifests


@pytest.fixture(params=PLACES)
def manifests(request: pytest.FixtureRequest) -> Manifests:
    return Manifests(request.param)
