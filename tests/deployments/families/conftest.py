"""The starter models, loaded once for each provider that the installed onnxruntime has; and what CUDA would get."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from deployments.catalogue.catalogue import Catalogue
from deployments.contract import Batch, Embeddings
from deployments.families.loading import load_family
from deployments.networks import opening
from deployments.networks.session import Build, Session
from deployments.networks.settings import SessionSettings
from deployments.onboarding import in_process
from tests.support import packed_operators

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


@pytest.fixture
def on_cuda(monkeypatch: pytest.MonkeyPatch) -> AbstractContextManager[None]:
    """Within it, models get the graphs of CUDA, run by a reference in numpy."""

    def open_session(build: Build, settings: SessionSettings, unsuitable: Collection[str]) -> Session:
        model = build(np.float32)
        assert isinstance(model, bytes)
        return packed_operators.session(model)

    def open_replayed(build: Build, settings: SessionSettings, unsuitable: Collection[str]) -> Any:
        return packed_operators.Captured(open_session(build, settings, unsuitable))

    @contextmanager
    def patched() -> Iterator[None]:
        with monkeypatch.context() as patches:
            patches.setattr(opening, "provider_of", lambda settings: "cuda")
            patches.setattr(opening, "open_session", open_session)
            patches.setattr(opening, "open_replayed", open_replayed)
            yield

    return patched()
