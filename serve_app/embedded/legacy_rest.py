"""REST: the search routes that were there before `points/query`, each read as the query that it stands for.

Qdrant 1.19 describes them no more, but older SDKs still send them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from serve_app.embedded.engine.errors import wrong_input

Content = Mapping[str, Any]
Query = Callable[[Content], Content]

_OWN = {"vector", "positive", "negative", "strategy", "target", "context"}
"""The fields of these routes that a query does not have."""


def search(content: Content) -> Content:
    """The vector is given as it is, or as `{"name": ..., "vector": ...}`."""
    vector = content.get("vector")
    if isinstance(vector, dict) and "name" in vector:
        return {"query": {"nearest": vector.get("vector")}, "using": vector["name"]}
    return {"query": {"nearest": vector}}


def recommend(content: Content) -> Content:
    """Points like some and unlike others."""
    return {"query": {"recommend": _given(content, "positive", "negative", "strategy")}}


def discover(content: Content) -> Content:
    """Points on the positive side of pairs, near a target where one is given."""
    if content.get("target") is None:
        return {"query": {"context": content.get("context")}}
    return {"query": {"discover": {"target": content["target"], "context": content.get("context") or []}}}


def read(content: Any, query: Query) -> dict[str, Any]:
    """The query of a request's body; its other fields have the same names in both."""
    if not isinstance(content, dict):
        raise wrong_input("expected a JSON object")
    same = {name: value for name, value in content.items() if name not in _OWN}
    return {**same, **query(content)}


def read_batch(content: Any, query: Query) -> list[dict[str, Any]]:
    """The queries of a batch."""
    searches = content.get("searches") if isinstance(content, dict) else None
    if not isinstance(searches, list):
        raise wrong_input("expected a list of 'searches'")
    return [read(one, query) for one in searches]


def _given(content: Content, *names: str) -> Content:
    return {name: content[name] for name in names if content.get(name) is not None}
