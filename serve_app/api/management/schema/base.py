"""What the description is made of: models of answers, and operations on paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Example = Mapping[str, Any]
Tag = Literal["console", "OpenAI", "rerank"]


class Shape(BaseModel):
    """A part of an answer: it has these fields and no others. A field with a default may be absent."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=(), use_attribute_docstrings=True)


class Answered(BaseModel):
    """An answer in Qdrant's shape; subclasses say what `result` is. `time` is in seconds."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: Literal["ok"]
    time: float


@dataclass(frozen=True)
class Parameter:
    """A parameter in the query or the path; `schema` is a JSON Schema."""

    name: str
    place: Literal["query", "path"]
    description: str
    schema: Example


@dataclass(frozen=True)
class Operation:
    """What a method of a path does.

    `answer` is the model of an answer with status 200, `means` says it in words. `question` is the model of the body.
    `refusals` are answers by their status (`default`: every other), as OpenAPI has them.
    """

    tag: Tag
    summary: str
    answer: type[BaseModel] | None
    means: str
    example: Example | None = None
    description: str | None = None
    parameters: Sequence[Parameter] = ()
    question: type[BaseModel] | None = None
    questions: Mapping[str, Example] = field(default_factory=dict)
    csv: str | None = None
    tells_quotas: bool = False
    needs_credential: bool = True
    refusals: Mapping[str, Example] = field(default_factory=dict)


Operations = Mapping[tuple[str, str], Operation]
"""Operations by method (in lower case) and path."""


def answered(result: Example, seconds: float) -> Example:
    """An example of an answer in Qdrant's shape."""
    return {"result": result, "status": "ok", "time": seconds}


def reference(kind: str, name: str) -> Example:
    """A reference to a component of the document."""
    return {"$ref": f"#/components/{kind}/{name}"}
