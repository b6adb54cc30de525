"""What callers send, checked: few errors, short ones, and no list without a bound."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from deployments.catalogue import records
from deployments.catalogue.bm25_options import Bm25Options, Lenient
from deployments.catalogue.catalogue import HOME
from deployments.catalogue.records import untrusted
from deployments.errors import MalformedRequest
from serve_app.api import openai, rerank
from serve_app.api.management import playground
from serve_app.inference import service_protocol
from serve_app.ledger.additions import Wanted
from serve_app.ledger.switches import SwitchChange

BODIES = (
    Bm25Options,
    openai.Question,
    playground.Question,
    rerank.Question,
    rerank.TeiQuestion,
    service_protocol.Question,
    SwitchChange,
    Wanted,
)
MANY = 300_000


def _unbounded(schema: Any, where: str = "") -> list[str]:
    """The places of lists in a JSON schema that may have any length."""
    if isinstance(schema, list):
        return [place for part in schema for place in _unbounded(part, where)]
    if not isinstance(schema, dict):
        return []
    here = [where] if schema.get("type") == "array" and "maxItems" not in schema else []
    return here + [place for key, part in schema.items() for place in _unbounded(part, f"{where}.{key}")]


@pytest.mark.parametrize("model", BODIES, ids=lambda model: f"{model.__module__}.{model.__name__}")
def test_every_list_of_a_callers_has_a_bound(model: type[BaseModel]) -> None:
    assert _unbounded(model.model_json_schema()) == []


@pytest.mark.slow
@pytest.mark.parametrize("model", BODIES, ids=lambda model: f"{model.__module__}.{model.__name__}")
@pytest.mark.parametrize(
    "value", [[0] * MANY, [{}] * MANY, ["x"] * MANY, [[0]] * MANY, {str(n): 0 for n in range(MANY)}, "x" * MANY, -1]
)
def test_an_error_is_short_whatever_was_sent(
    model: type[BaseModel], value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    explain = records.explain
    monkeypatch.setattr(
        records, "explain", lambda error, model: counts.append(error.error_count()) or explain(error, model)
    )
    unknown = [{f"{name}x": value for name in model.model_fields}, *([value] if isinstance(value, dict) else [])]
    refused = [dict.fromkeys(model.model_fields, value), *([] if isinstance(value, dict) else [value])]
    for content in refused if issubclass(model, Lenient) else [*refused, *unknown]:
        with pytest.raises(MalformedRequest) as caught:
            untrusted(model, content, MalformedRequest)
        assert len(caught.value.message) <= 2000
    assert max(counts, default=0) < 50, "the first errors end it"


def test_first_errors_are_told() -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid")

    with pytest.raises(MalformedRequest) as caught:
        untrusted(Strict, {str(n): 0 for n in range(20)}, MalformedRequest)
    assert caught.value.message.startswith("0: unknown key; 1: unknown key")
    assert caught.value.message.endswith("; and 15 more")


def test_all_bodies_are_walked_here() -> None:
    """Whoever reads a body by `untrusted` or `question` names its schema above."""
    readers = [
        path.relative_to(HOME).as_posix()
        for path in sorted(HOME.glob("serve_app/**/*.py"))
        for _ in re.findall(r"\buntrusted\(|await question\(", path.read_text(encoding="utf-8"))
    ]
    assert readers == [
        "serve_app/api/management/json_bodies.py",
        "serve_app/api/management/routes.py",
        "serve_app/api/management/routes.py",
        "serve_app/api/management/routes.py",
        "serve_app/api/openai.py",
        "serve_app/api/rerank.py",
        "serve_app/inference/service_protocol.py",
    ]
