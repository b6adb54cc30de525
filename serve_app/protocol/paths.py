"""Paths as Qdrant's server reads them, in one spelling for everything here: permissions, places, routes and metrics.

Source: actix-web 4, `NormalizePath::trim` (Qdrant 1.19 sets it in src/actix/mod.rs), and actix-router's decoding of
paths before they are matched.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

_PLAIN = "!$&'()*+,;=:@"
"""What may stand in a path's segment beside letters, digits and `-._~` (RFC 3986, `pchar`)."""

_USUAL = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
"""A path that has one spelling only."""

_FOLDERS = frozenset({"/inference", "/dashboard"})
"""From these lead relative links and redirections, so the slash behind their names says something."""


def normalized(path: str) -> str:
    """One spelling of a path: slashes neither repeated nor at the end, each segment decoded once and encoded again.

    `path` has its bytes as characters (latin-1). A slash that is percent-encoded belongs to its segment, and is never
    one of the path.
    """
    if _USUAL.fullmatch(path):
        return path
    segments = [_normalized(segment) for segment in path.split("/") if segment]
    result = "/" + "/".join(segments)
    return result + "/" if result in _FOLDERS and path.endswith("/") else result


def _normalized(segment: str) -> str:
    return quote(unquote_to_bytes(segment.encode("latin-1")).decode(errors="replace"), _PLAIN)


def climbs(path: str) -> bool:
    """Whether a normalized path has a segment `.` or `..`.

    Qdrant takes them for names, but proxies before it may take them for ways up: for another path than the one that
    was allowed.
    """
    return "/." in path and not {".", ".."}.isdisjoint(path.split("/"))
