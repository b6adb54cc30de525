"""What is known of a request by its method and path alone, worked out once for each."""

from __future__ import annotations

from typing import NamedTuple

from serve_app.auth import permissions
from serve_app.auth.permissions import Permission
from serve_app.inference.places import Place, rest_place
from serve_app.protocol import paths


class Route(NamedTuple):
    """Where a request goes.

    `path` is normalized. `permission` is what it needs, on which `collection` ("" if on none); `place` is where its
    body may hold inference objects, if it may. `climbs`: it has a segment `.` or `..`.
    """

    path: str
    permission: Permission
    collection: str
    place: Place | None
    climbs: bool


def route(method: str, raw_path: bytes) -> Route:
    """The route of a request; `raw_path` is as it was sent."""
    path = paths.normalized(raw_path.decode("latin-1").partition("?")[0])
    permission, collection = permissions.of_route(method, path)
    return Route(path, permission, collection, rest_place(method, path), paths.climbs(path))
