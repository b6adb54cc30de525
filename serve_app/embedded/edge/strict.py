"""A collection's strict mode: limits that its owner has set for requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from serve_app.embedded.engine.errors import GrpcError, bad_request, forbidden

JSON = Mapping[str, Any]

NOT_ENFORCED = (
    *("read_rate_limit", "write_rate_limit", "max_resident_memory_percent"),
    *("max_collection_vector_size_bytes", "max_collection_payload_size_bytes", "multivector_config", "sparse_config"),
)
"""Limits that are kept and described, and have no effect here."""

_RANGES = ("integer", "float", "datetime")
_FOR_MATCH = {str: ("keyword", "uuid"), bool: ("bool",), int: ("integer",)}
_TEXT = ("text", "text_any", "phrase")
_GEO = ("geo_radius", "geo_bounding_box", "geo_polygon")


class StrictMode:
    """The limits of a configuration; none if it is not enabled. `indexes` are the payload indexes by field."""

    def __init__(self, config: JSON | None, indexes: JSON) -> None:
        self._limits: JSON = config if config and config.get("enabled") else {}
        self._indexes = indexes

    def check_queries(self, queries: Sequence[Any]) -> None:
        """Several queries of one request."""
        self._at_most("search_max_batchsize", len(queries), "search batch size")
        for query in queries:
            self.check_read(query)

    def check_read(self, body: Any) -> None:
        """Any request that reads points, with all that is prefetched."""
        if not self._limits or not isinstance(body, dict):
            return
        if body.get("limit") is not None:
            self._at_most("max_query_limit", body["limit"], "limit")
        self._check_params(body.get("params") or {})
        self._check_filter(body.get("filter"), "unindexed_filtering_retrieve")
        prefetch = body.get("prefetch") or []
        for inner in prefetch if isinstance(prefetch, list) else [prefetch]:
            self.check_read(inner)

    def _check_params(self, params: JSON) -> None:
        self._at_most("search_max_hnsw_ef", params.get("hnsw_ef") or 0, "hnsw_ef")
        oversampling = (params.get("quantization") or {}).get("oversampling") or 0
        self._at_most("search_max_oversampling", oversampling, "oversampling")
        if params.get("exact") and self._limits.get("search_allow_exact") is False:
            raise forbidden("Exact search is disabled. Help: Set exact to false")

    def check_updates(self, operations: Sequence[Any]) -> None:
        """Writes of points."""
        if not self._limits:
            return
        for operation in operations:
            for name, content in operation.items():
                if not isinstance(content, dict):
                    continue
                listed = content.get("points") or (content.get("batch") or {}).get("ids") or []
                what = "upsert limit" if name == "upsert" else "update limit"
                self._at_most("upsert_max_batchsize", len(listed), what)
                self._check_filter(content.get("filter"), "unindexed_filtering_update")

    def check_timeout(self, seconds: int) -> None:
        """How long a caller waits at most."""
        self._at_most("max_timeout", seconds, "timeout")

    def check_new_index(self, field: str) -> None:
        """One more payload index."""
        most = self._limits.get("max_payload_index_count")
        if most is not None and field not in self._indexes and len(self._indexes) >= most:
            raise forbidden(
                f"Collection already has the maximum number of payload indices ({most}). "
                "Help: Please delete an existing index before creating a new one."
            )

    def _at_most(self, name: str, value: float, what: str) -> None:
        most = self._limits.get(name)
        if most is not None and value > most:
            raise forbidden(
                f'Limit exceeded {value} > {most} for "{what}". Help: Reduce the "{what}" parameter to {most}.'
            )

    def _check_filter(self, condition: Any, kind: str) -> None:
        if not isinstance(condition, dict):
            return
        found = list(_conditions(condition, ""))
        self._at_most("filter_max_conditions", len(found), "Filter condition limit")
        for key, one in found:
            match = one.get("match") if isinstance(one, dict) else None
            values = match.get("any") or match.get("except") if isinstance(match, dict) else None
            if isinstance(values, list):
                self._at_most("condition_max_size", len(values), "Condition size limit")
            if key and self._limits.get(kind) is False:
                self._check_index(key, one)

    def _check_index(self, key: str, condition: JSON) -> None:
        needed = _needed(condition)
        index = self._indexes.get(key)
        if index is None:
            raise _unindexed(f'Index required but not found for "{key}"', key)
        if needed and not any(_serves(index, one) for one in needed):
            kind = str(index["data_type"]).capitalize()
            raise _unindexed(f'Index of type "{kind}" found for "{key}"', key)


def _unindexed(what: str, key: str) -> GrpcError:  # noqa: ARG001
    return bad_request(f"{what}. Help: Create an index supporting `match` for this key.")


def _needed(condition: JSON) -> tuple[str, ...]:
    """The types of indexes of which any serves a condition; none if each does."""
    match = condition.get("match")
    if isinstance(match, dict):
        [(kind, value)] = match.items() if len(match) == 1 else [("", None)]
        if kind in _TEXT:
            return (f"text:{kind}",)
        if kind == "prefix":
            return ("keyword:prefix",)
        one = value[0] if isinstance(value, list) and value else value
        return tuple(f"{name}:lookup" for name in _FOR_MATCH.get(type(one), ()))
    if condition.get("range") is not None:
        return tuple(f"{name}:range" for name in _RANGES)
    return ("geo",) if any(condition.get(name) is not None for name in _GEO) else ()


def _serves(index: JSON, needed: str) -> bool:
    kind, _, ability = needed.partition(":")
    params = index.get("params") or {}
    if index["data_type"] != kind:
        return False
    if ability in ("lookup", "range") and kind == "integer":
        return params.get(ability) is not False
    if ability == "phrase":
        return bool(params.get("phrase_matching"))
    return ability != "prefix" or bool(params.get("prefix"))


def _conditions(condition: Any, prefix: str) -> Iterator[tuple[str, JSON]]:
    """All single conditions of a filter, with the full path of the field that each is about."""
    if not isinstance(condition, dict):
        return
    if "key" in condition:
        yield f"{prefix}{condition['key']}", condition
    elif "nested" in condition and isinstance(condition["nested"], dict):
        key = str(condition["nested"].get("key", "")).removesuffix("[]")
        yield from _conditions(condition["nested"].get("filter"), f"{prefix}{key}[].")
    elif any(name in condition for name in ("is_empty", "is_null")):
        inner = condition.get("is_empty") or condition.get("is_null") or {}
        yield f"{prefix}{inner.get('key', '')}", {}
    elif any(name in condition for name in ("has_id", "has_vector", "slice")):
        yield "", condition
    else:
        for name in ("must", "should", "must_not"):
            inner = condition.get(name) or []
            for one in inner if isinstance(inner, list) else [inner]:
                yield from _conditions(one, prefix)
        for one in (condition.get("min_should") or {}).get("conditions") or []:
            yield from _conditions(one, prefix)
