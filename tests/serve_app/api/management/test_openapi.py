"""The description of the API is the one that its models give, and its examples fit it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from serve_app.api.management import OPENAPI
from serve_app.api.management.schema.document import OPERATIONS, text
from tests.support.management import MakeWorld
from tests.support.openapi import API, check, operation, validate


def test_the_file_is_the_one_that_the_models_give() -> None:
    assert OPENAPI.read_text(encoding="utf-8") == text(), "renew it by 'make openapi'"


def examples() -> list[Any]:
    found = []
    for path, methods in API["paths"].items():
        for method, described in methods.items():
            parts = {"question": described.get("requestBody", {}), **described["responses"]}
            for part, body in parts.items():
                content = body.get("content", {}).get("application/json", {})
                shown = [content["example"]] if "example" in content else []
                shown += [one["value"] for one in content.get("examples", {}).values()]
                found += [pytest.param(content["schema"], one, id=f"{method} {path} {part}") for one in shown]
    return found


@pytest.mark.parametrize(("schema", "example"), examples())
def test_the_descriptions_examples_fit_its_schemas(schema: Any, example: Any) -> None:
    validate(schema, example)


QUESTIONS = [(one.question, example) for one in OPERATIONS.values() for example in one.questions.values()]
ANSWERS = [(one.answer, one.example) for one in OPERATIONS.values() if one.example]


@pytest.mark.parametrize(("model", "example"), [*QUESTIONS, *ANSWERS])
def test_the_examples_are_what_the_models_take(model: type[BaseModel], example: Any) -> None:
    model.model_validate(example)


async def test_every_described_route_is_answered(world: MakeWorld) -> None:
    here = world()
    for path, methods in API["paths"].items():
        assert here.http._other(path)
        for method in methods:
            place = path.replace("{model}", "d%2FDense")
            answer = await here.ask(method.upper(), place, {} if method in {"post", "put"} else None)
            assert answer.status != 404, (method, path)


async def test_an_answer_that_the_description_does_not_have_is_found(world: MakeWorld) -> None:
    """`ask` holds every answer of these tests against the description."""
    here = world()
    answer = await here.ask("GET", "/inference/live")
    surplus = answer.content.replace(b'"total"', b'"surplus": 1, "total"')
    answer.content = surplus
    with pytest.raises(Exception, match="surplus"):
        check(answer, "GET", "/inference/live")
    answer.headers["content-type"] = "text/html"
    with pytest.raises(AssertionError, match="as text/html"):
        check(answer, "GET", "/inference/live")


def test_a_described_path_is_found_whatever_stands_in_its_place() -> None:
    assert operation("GET", "/v1/models/d/Dense") is API["paths"]["/v1/models/{model}"]["get"]
    assert operation("PUT", "/inference/models") is None
    assert operation("GET", "/collections") is None
