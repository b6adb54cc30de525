"""REST: the search routes that were there before `points/query`, each read as the query that it stands for.

Qdrant 1.19 describes them no more, but older SDKs still send them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from serve_app.embedded.engine.errors import bad_request, malformed
from serve_app.inference.field_aliases import FIELD_ALIASES

Content = Mapping[str, Any]


@dataclass(frozen=True)
class Search:
    """A kind of search: Qdrant's names of its bodies, the fields that a query does not have, and what they say."""

    schema: str
    own: frozenset[str]
    query: Callable[[Content], Content]

    def read(self, content: Any) -> dict[str, Any]:
        """The query of a request's body; its other fields have the same names in both."""
        return self._read(content, f"{self.schema}Request", ("limit",))

    def read_groups(self, content: Any) -> dict[str, Any]:
        """The same of a body that wants groups."""
        return self._read(content, f"{self.schema}GroupsRequest", ("group_by", "group_size", "limit"))

    def read_batch(self, content: Any) -> list[dict[str, Any]]:
        """The queries of a batch."""
        searches = content.get("searches") if isinstance(content, dict) else None
        if not isinstance(searches, list):
            raise malformed("searches", "expected a list")
        return [self.read(one) for one in searches]

    def _read(self, content: Any, schema: str, required: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(content, dict):
            raise malformed("", f"expected an object ({schema})")
        aliases = FIELD_ALIASES.get(schema, {})
        given: dict[str, Any] = {}
        for name, value in content.items():
            if aliases.get(name, name) in given:
                raise malformed(name, "duplicate field: it has another name, too")
            given[aliases.get(name, name)] = value
        for name in required:
            if given.get(name) is None:
                raise malformed(name, "Field required")
        return {**{name: value for name, value in given.items() if name not in self.own}, **self.query(given)}


def _search(content: Content) -> Content:
    """The vector is given as it is, or as `{"name": ..., "vector": ...}`."""
    vector = content.get("vector")
    if isinstance(vector, dict) and "name" in vector:
        return {"query": {"nearest": _no_id(vector.get("vector"))}, "using": vector["name"]}
    return {"query": {"nearest": _no_id(vector)}}


def _no_id(vector: Any) -> Any:
    if not isinstance(vector, list | dict):
        raise malformed("vector", "expected a vector")
    return vector


def _recommend(content: Content) -> Content:
    by_average = content.get("strategy") in {None, "average_vector"}
    if not content.get("positive") and (by_average or not content.get("negative")):
        what = "positive" if by_average else "positive or negative"
        raise bad_request(f"At least one {what} vector ID required with this strategy")
    return {"query": {"recommend": _given(content, "positive", "negative", "strategy")}}


def _discover(content: Content) -> Content:
    if content.get("target") is None:
        return {"query": {"context": content.get("context")}}
    return {"query": {"discover": {"target": content["target"], "context": content.get("context") or []}}}


def _given(content: Content, *names: str) -> Content:
    return {name: content[name] for name in names if content.get(name) is not None}


SEARCH = Search("Search", frozenset(("vector",)), _search)
"""Nearest neighbours of a vector."""
RECOMMEND = Search("Recommend", frozenset(("positive", "negative", "strategy")), _recommend)
"""Points like some and unlike others."""
DISCOVER = Search("Discover", frozenset(("target", "context")), _discover)
"""Points on the positive side of pairs, near a target where one is given."""
