"""The routes of Qdrant's REST API, and what they are for."""

from __future__ import annotations

import re

import orjson

from deployments.catalogue.catalogue import HOME
from serve_app.auth.permissions import Permission
from serve_app.embedded import rest_routes

OPENAPI = orjson.loads((HOME / "tests" / "data" / "qdrant-openapi.json").read_bytes())
HTTP_METHODS = ("get", "put", "post", "patch", "delete")
ROUTES = {
    *((method.upper(), path) for path, found in OPENAPI["paths"].items() for method in found if method in HTTP_METHODS),
    *rest_routes.ROUTES,
    *rest_routes.FIXED,
}
READING = {Permission.LISTING, Permission.READ_ALL, Permission.READ, Permission.READ_EXTRAS}


def filled(path: str) -> str:
    return re.sub(r"{\w+}", "x", path)
