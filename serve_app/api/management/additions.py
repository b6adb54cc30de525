"""Models that are added and taken away: what is asked, and how it is told."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote

from deployments.errors import MalformedRequest
from serve_app.ledger.additions import Addition
from serve_app.protocol.messages import Request

PREFIX = "/inference/models/"

_WORDS = {"true": True, "false": False}


class Removal(NamedTuple):
    """What to take away, and whether its files go too."""

    name: str
    files: bool


def removal(request: Request) -> Removal:
    """What a request wants to have taken away.

    Raises:
        MalformedRequest: a parameter is wrong.
    """
    name = unquote(request.path.removeprefix(PREFIX))
    given = parse_qs(request.query, keep_blank_values=True)
    files = given.pop("files", ["false"])[-1]
    if given or files not in _WORDS:
        raise MalformedRequest("the query takes one parameter, files, which is true or false")
    return Removal(name, _WORDS[files])


def shown(addition: Addition) -> dict[str, Any]:
    """An addition as the API has it."""
    return {
        "name": addition.name,
        "models": addition.models,
        "state": addition.state,
        "detail": addition.detail,
        "done": addition.done,
        "total": addition.total,
        "reason": addition.reason,
    }
