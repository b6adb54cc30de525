"""The starter models, loaded once for each provider that the installed onnxruntime has."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from deployments.catalogue.catalogue import Catalogue
from deployments.contract import Batch, Embeddings
from deployments.families.loading import load_family
from deployments.networks.settings import SessionSettings
from deployments.onboarding import in_process

Embed = Callable[..., Embeddings]

PROVIDERS = [
    name
    for name, provider in (("cpu", "CPUExecutionProvider"), ("openvino", "OpenVINOExecutionProvider"))
    if provider in onnxruntime.get_available_providers()
]


@pytest.fixture(scope="session")
def embed_with(starter: Catalogue, model_folder: Callable[[str], Path]) -> Callable[..., Embed]:
    """Loads a starter model by its name; the result embeds inputs within a token budget."""

    @cache
    def load(name: str, **settings: str) -> Embed:
        folder = model_folder(name)
        family = load_family(starter.find(name, "test"), folder, SessionSettings.model_validate(settings))

        def embed(inputs: Any, budget: int = 1024) -> Embeddings:
            return in_process.embed(family, Batch(list(inputs), "update"), budget)

        return embed

    return load


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)
