"""The route of a request, as a template without what its caller put there: for logs and traces."""

from __future__ import annotations

from functools import lru_cache

import orjson

from serve_app.api.management import OPENAPI
from serve_app.auth import permissions

_INFERENCE_SERVICE = "POST /inference"


def template(method: str, path: str) -> str:
    """For example `GET /collections/{collection}`; `other` if no table knows the route."""
    own = f"{method} {path}"
    return own if own in _own() else permissions.template(method, path)


@lru_cache(maxsize=1)
def _own() -> frozenset[str]:
    """The routes that are not Qdrant's."""
    described = orjson.loads(OPENAPI.read_bytes())
    return frozenset(
        {_INFERENCE_SERVICE, *(f"{m.upper()} {p}" for p, methods in described["paths"].items() for m in methods)}
    )
