"""The application with models that do not compute is one that Ray Serve could start."""

from __future__ import annotations

import inspect

import pytest

from benchmarks import stub_model


def test_the_ingress_is_given_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QDRANT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("STUB_MODEL", '{"seconds": 0, "ingress": 1, "model": 1}')
    bound = stub_model.build({})._bound_deployment
    takes = inspect.signature(bound.func_or_class.__init__)
    takes.bind(None, *bound.init_args, **bound.init_kwargs)
    assert bound.init_args[0].catalogue
