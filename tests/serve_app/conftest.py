from __future__ import annotations

import pytest

from tests.serve_app.gateway import Gateway


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()
