"""What tests of every kind share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deployments import catalogue
from deployments.catalogue import HOME, Catalogue
from deployments.model_store import ModelStore, cache_folder


@pytest.fixture(scope="session")
def starter() -> Catalogue:
    """The catalogue of starter models."""
    return catalogue.load(HOME / "configs" / "models" / "starter.yaml")


@pytest.fixture(scope="session")
def model_folder(starter: Catalogue) -> Callable[[str], Path]:
    """The folder with a starter model's files, by its name; fetched where the cache lacks them."""

    def folder(name: str) -> Path:
        pulled = ModelStore(cache_folder()).pull(starter.find(name, "test"))
        assert pulled is not None
        return pulled

    return folder
