"""The document, put together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from serve_app.api.management.schema import (
    access,
    embeddings,
    health,
    live,
    models,
    playground,
    rerank,
    settings,
    usage,
)
from serve_app.api.management.schema.base import Operation, Operations, Parameter, reference
from serve_app.api.management.schema.errors import HEADERS, QUOTA_HEADERS, RESPONSES, Error, OpenAIError, headers

_ITSELF: Operations = {
    ("get", "/inference/openapi.json"): Operation(
        tag="console", summary="This description", answer=None, means="OpenAPI 3.1.", needs_credential=False
    )
}

OPERATIONS: Operations = {
    **access.OPERATIONS,
    **models.OPERATIONS,
    **live.OPERATIONS,
    **health.OPERATIONS,
    **usage.OPERATIONS,
    **settings.OPERATIONS,
    **playground.OPERATIONS,
    **_ITSELF,
    **embeddings.OPERATIONS,
    **rerank.OPERATIONS,
}
"""All that is described, in the document's order."""

_INFO = {
    "title": "The inference console",
    "version": "1",
    "summary": "Which models there are, what was used, and the switches",
    "description": (
        "Beside Qdrant's own API on the same address. Answers have Qdrant's shape: `result`, `status` and `time`; "
        'errors `{"status": {"error": "..."}, "time": 0.0, "result": null}`. `/v1` has the shapes of OpenAI\'s API '
        "instead, and rerankers those of theirs.\n\n"
        "Credentials come as for Qdrant: header `api-key: KEY` or `authorization: Bearer KEY`. A service without keys "
        "is open. The admin key (QDRANT_INFERENCE_ADMIN_KEY) allows all that the key of the service allows, Qdrant's "
        "own routes included, and the switches too. To list the collections, ask `GET /collections` of Qdrant's own "
        "API with the same key. Times are UTC."
    ),
}
_SECURITY_SCHEMES = {
    "key": {"type": "apiKey", "in": "header", "name": "api-key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


class _Plain(GenerateJsonSchema):
    """JSON Schema without titles and without defaults that say nothing; what may be null says so in its type."""

    def field_title_should_be_set(self, _schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        return {key: value for key, value in made.items() if key != "default" or value not in (None, {})}

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        if "const" in inner:
            return {"enum": [inner["const"], None]}
        if "enum" in inner:
            return {"enum": [*inner["enum"], None]}
        if isinstance(inner.get("type"), str):
            return {**inner, "type": [inner["type"], "null"]}
        return super().nullable_schema(schema)


def document() -> dict[str, Any]:
    """The description of the API as OpenAPI 3.1 has it."""
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "security": [{"key": []}, {"bearer": []}, {}],
        "tags": [{"name": "console"}, {"name": "OpenAI"}, {"name": "rerank"}],
        "paths": _paths(OPERATIONS),
        "components": {
            "securitySchemes": _SECURITY_SCHEMES,
            "headers": HEADERS,
            "responses": RESPONSES,
            "schemas": _schemas(OPERATIONS.values()),
        },
    }


def text() -> str:
    """The file."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _paths(operations: Operations) -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), operation in operations.items():
        paths.setdefault(path, {})[method] = _described(operation)
    return paths


def _described(operation: Operation) -> dict[str, Any]:
    said: dict[str, Any] = {"tags": [operation.tag], "summary": operation.summary}
    if operation.description:
        said["description"] = operation.description
    if not operation.needs_credential:
        said["security"] = [{}]
    if operation.parameters:
        said["parameters"] = [_parameter(one) for one in operation.parameters]
    if operation.question:
        said["requestBody"] = {
            "required": True,
            "content": {"application/json": {**_schema(operation.question), **_examples(operation.questions)}},
        }
    return {**said, "responses": {"200": _answer(operation), **operation.refusals}}


def _answer(operation: Operation) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": _schema(operation.answer)}
    if operation.example:
        content["application/json"]["example"] = operation.example
    if operation.csv:
        content["text/csv"] = {"schema": {"type": "string"}, "example": operation.csv}
    with_headers = {"headers": headers(*QUOTA_HEADERS)} if operation.tells_quotas else {}
    return {"description": operation.means, **with_headers, "content": content}


def _schema(model: type[BaseModel] | None) -> dict[str, Any]:
    return {"schema": reference("schemas", model.__name__) if model else {"type": "object"}}


def _examples(questions: Mapping[str, Any]) -> dict[str, Any]:
    """One example without a name, or several with names."""
    if "" in questions:
        return {"example": questions[""]}
    return {"examples": {name: {"value": question} for name, question in questions.items()}}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    required = {"required": True} if parameter.place == "path" else {}
    return {
        "name": parameter.name,
        "in": parameter.place,
        **required,
        "description": parameter.description,
        "schema": parameter.schema,
    }


def _schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    """All models of questions and answers, and those that they are made of."""
    used: list[type[BaseModel]] = [Error, OpenAIError, *rerank.REFUSALS]
    used += [model for one in operations for model in (one.question, one.answer) if model]
    _, made = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(used)],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Plain,
    )
    found = {name: _untitled(schema) for name, schema in made["$defs"].items()}
    return dict(sorted(found.items()))


def _untitled(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A model's schema without its title, which is its name again; its description in one line for each paragraph."""
    said = {key: value for key, value in schema.items() if key != "title"}
    if "properties" in said:
        said["properties"] = {name: _in_lines(part) for name, part in said["properties"].items()}
    return _in_lines(said)


def _in_lines(schema: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(schema.get("description"), str):
        return dict(schema)
    paragraphs = schema["description"].split("\n\n")
    return {**schema, "description": "\n\n".join(" ".join(one.split()) for one in paragraphs)}
