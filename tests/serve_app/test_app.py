"""The app builder names the classes of its deployments, and imports none."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest

from serve_app import app
from serve_app.config.ray_environment import MESSAGES, SUPPORTED

STARTER = {"catalogue": "configs/models/starter.yaml"}


def test_each_deployment_is_of_a_class_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QDRANT_URL", raising=False)
    for name, value in {**SUPPORTED, **MESSAGES}.items():
        monkeypatch.setenv(name, value)
    built: Any = app.build({**STARTER, "providers": {"routes": {"openai": None}}})._bound_deployment
    _, models, *others = built.init_args
    deployments = [built, *(one._bound_deployment for one in (*models.values(), *others))]
    assert {one.name for one in deployments} >= {"Ingress", "ImageLoader", "Providers", "Store", "qdrant--bm25"}
    for path in {one.func_or_class for one in deployments}:
        module, _, name = path.rpartition(".")
        assert isinstance(getattr(import_module(module), name), type), path


@pytest.mark.slow
def test_who_builds_the_application_imports_none_of_its_parts() -> None:
    parts = [path.rpartition(".")[0] for path in (app.INGRESS, app.IMAGE_LOADER, app.MODEL, app.PROVIDERS, app.STORE)]
    code = f"import serve_app.app, sys; found = set({parts}) & sys.modules.keys(); assert not found, found"
    subprocess.run([sys.executable, "-c", code], check=True)
