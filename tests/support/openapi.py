"""Answers held against the description of the management API."""

from __future__ import annotations

import re
from typing import Any, Protocol

import orjson
from jsonschema import Draft202012Validator

from serve_app.api.management import OPENAPI

API = orjson.loads(OPENAPI.read_bytes())


class Answer(Protocol):
    status: int
    headers: dict[str, str]

    @property
    def json(self) -> Any: ...


def validate(schema: Any, content: Any) -> None:
    """Hold a value against a schema of the description."""
    Draft202012Validator({**schema, "components": API["components"]}).validate(content)


def operation(method: str, path: str) -> Any:
    """What the description says of a method of a path; nothing if it has no such one."""
    for described, methods in API["paths"].items():
        pattern = re.sub(r"\\{\w+\\}", ".+", re.escape(described))
        if re.fullmatch(pattern, path) and method.lower() in methods:
            return methods[method.lower()]
    return None


def check(answer: Answer, method: str, path: str) -> None:
    """Hold an answer against what the description says of it, if it says anything."""
    described = operation(method, path)
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if described is None or path == "/inference/openapi.json":
        return
    responses = described["responses"]
    response = responses.get(str(answer.status), responses.get("default"))
    if "$ref" in response:
        response = API["components"]["responses"][response["$ref"].rpartition("/")[2]]
    content = response["content"]
    assert kind in content, f"{method} {path} answered {answer.status} as {kind}"
    if kind == "application/json":
        validate(content[kind]["schema"], answer.json)
