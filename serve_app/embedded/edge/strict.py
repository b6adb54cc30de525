"""A collection's strict mode: limits that its owner has set for requests. A body has been read before it comes here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from serve_app.embedded.edge.config import dense_vectors
from serve_app.embedded.edge.strict_filters import (
    FOR_GROUPS,
    conditions,
    formula_keys,
    missing_index,
    needed_indexes,
    prefetches,
)
from serve_app.embedded.engine.errors import GrpcError, bad_request

JSON = Mapping[str, Any]

NOT_ENFORCED = ("max_resident_memory_percent", "max_collection_payload_size_bytes")
"""Limits that are kept and described, and have no effect here."""

_QUERY_LIMIT, _GROUPS, _GROUP_SIZE = 10, 10, 3
_WITHOUT_VECTORS = frozenset(("fusion", "rrf", "order_by", "formula", "sample", "text"))


def _refused(what: str, help_: str) -> GrpcError:
    return bad_request(f"{what}. Help: {help_}")


class StrictMode:
    """The limits of a configuration; none if it is not enabled. `indexes` are the payload indexes by field."""

    def __init__(self, config: dict[str, Any], indexes: JSON) -> None:
        limits = config.get("strict_mode_config")
        self._limits: JSON = limits if limits and limits.get("enabled") else {}
        self._config = config
        self._indexes = indexes

    def check_queries(self, queries: Sequence[JSON]) -> None:
        """Several queries of one request."""
        self._at_most("search_max_batchsize", len(queries), "search batch size")
        for query in queries:
            self._check_query(query, is_prefetch=False)

    def check_groups(self, body: JSON) -> None:
        """A query in groups."""
        if not self._limits:
            return
        groups, size = body.get("limit") or _GROUPS, body.get("group_size") or _GROUP_SIZE
        self._at_most("max_query_limit", groups * size, "limit")
        self._check_query({**body, "limit": None}, is_prefetch=False)
        self._check_indexed(body["group_by"], FOR_GROUPS, "Create an index supporting `match` for this key.")

    def check_matrix(self, body: JSON) -> None:
        """A distance matrix."""
        given = [body[name] for name in ("limit", "sample") if body.get(name) is not None]
        if given:
            self._at_most("max_query_limit", given[0] * (given[1] if len(given) > 1 else 1), "limit")
        self._check_filter(body.get("filter"), "unindexed_filtering_retrieve")

    def check_read(self, body: JSON) -> None:
        """Any other request that reads points."""
        if body.get("limit") is not None:
            self._at_most("max_query_limit", body["limit"], "limit")
        self._check_filter(body.get("filter"), "unindexed_filtering_retrieve")
        self._check_exact(body.get("exact"))

    def _check_query(self, body: JSON, *, is_prefetch: bool) -> None:
        if not self._limits:
            return
        inner = prefetches(body)
        for one in inner:
            self._check_query(one, is_prefetch=True)
        query = body.get("query")
        if query is not None and (is_prefetch or not inner):
            self._check_full_scan(query, body.get("using") or "", body.get("filter"))
        if isinstance(query, dict) and "formula" in query:
            for key, needed in formula_keys(query["formula"]):
                self._check_indexed(key, needed, "Create an index for this key or use a different formula expression.")
        self.check_read({"limit": body.get("limit") or _QUERY_LIMIT, "filter": body.get("filter")})
        self._check_params(body.get("params") or {})

    def _check_params(self, params: JSON) -> None:
        self._at_most("search_max_hnsw_ef", params.get("hnsw_ef") or 0, "hnsw_ef")
        oversampling = (params.get("quantization") or {}).get("oversampling") or 0
        self._at_most("search_max_oversampling", oversampling, "oversampling")
        self._check_exact(params.get("exact"))

    def _check_exact(self, is_exact: object) -> None:
        if is_exact and self._limits.get("search_allow_exact") is False:
            raise _refused("Exact search disabled!", "Set exact=false.")

    def _check_full_scan(self, query: Any, using: str, chosen: Any) -> None:
        """A search of dense vectors without an index that leads to them."""
        if self._limits.get("search_allow_exact") is not False or using not in dense_vectors(self._config):
            return
        if isinstance(query, dict) and query.keys() & _WITHOUT_VECTORS:
            return
        hnsw = {**self._config["hnsw_config"], **(dense_vectors(self._config)[using].get("hnsw_config") or {})}
        if hnsw["m"] > 0:
            return
        where = f" on '{using}'" if using else ""
        by_tenant = any(
            (self._indexes.get(key, {}).get("params") or {}).get("is_tenant") for key, _ in conditions(chosen)
        )
        if not by_tenant:
            raise _refused(
                f"Request is forbidden{where} because global vector indexing is disabled (hnsw_config.m = 0)",
                "Use tenant-specific filter, enable global vector indexing or enable strict mode "
                "`search_allow_exact` option",
            )
        if not hnsw.get("payload_m"):
            raise _refused(
                f"Request is forbidden{where} because vector indexing is disabled (hnsw_config.m = 0 and "
                "hnsw_config.payload_m = 0)",
                "Enable vector indexing, use a prefetch query with indexed vectors or enable strict mode "
                "`search_allow_exact` option",
            )

    def check_updates(self, operations: Sequence[JSON], points: Callable[[], int]) -> None:
        """Writes to a collection; `points` tells how many it has."""
        if not self._limits:
            return
        for operation in operations:
            [(name, content)] = operation.items()
            if name in {"upsert", "update_vectors"}:
                self._check_new_points(name, content, points)
            self._check_filter(content.get("filter"), "unindexed_filtering_update")

    def _check_new_points(self, name: str, content: JSON, points: Callable[[], int]) -> None:
        listed = content.get("points") or (content.get("batch") or {}).get("ids") or []
        self._at_most("upsert_max_batchsize", len(listed), "upsert limit" if name == "upsert" else "update limit")
        most = self._limits.get("max_points_count")
        if most is not None and points() >= most:
            raise bad_request(f"Max points count limit of {most} reached!")
        most = self._limits.get("max_collection_vector_size_bytes")
        if most is not None and points() * self._bytes_a_point() >= most:
            raise bad_request(f"Max vector storage size limit of {most / 2**20}MB reached!")
        for vector_name, vector in _vectors(content):
            self._check_vector(vector_name, vector)

    def _bytes_a_point(self) -> int:
        """As much as a point has that has all its dense vectors, as 32-bit floats."""
        numbers: int = sum(one["size"] for one in dense_vectors(self._config).values())
        return 4 * numbers

    def _check_vector(self, name: str, vector: Any) -> None:
        if isinstance(vector, dict):
            most = (self._limits.get("sparse_config") or {}).get(name, {}).get("max_length")
            size = len(vector["indices"])
            if most is not None and size > most:
                raise bad_request(f"Sparse vector '{name}' has a limit of {most} indices, but {size} were provided!")
        elif vector and isinstance(vector[0], list):
            most = (self._limits.get("multivector_config") or {}).get(name, {}).get("max_vectors")
            if most is not None and len(vector) > most:
                raise bad_request(
                    f"Multivector '{name}' has a limit of {most} vectors, but {len(vector)} were provided!"
                )

    def check_timeout(self, seconds: int) -> None:
        """How long a caller waits at most."""
        self._at_most("max_timeout", seconds, "timeout")

    def check_new_index(self, field: str) -> None:
        """One more payload index."""
        most = self._limits.get("max_payload_index_count")
        if most is not None and field not in self._indexes and len(self._indexes) >= most:
            raise _refused(
                f"Collection already has the maximum number of payload indices ({most})",
                "Please delete an existing index before creating a new one.",
            )

    def _at_most(self, name: str, value: float, what: str) -> None:
        most = self._limits.get(name)
        if most is not None and value > most:
            raise _refused(
                f'Limit exceeded {value} > {most} for "{what}"', f'Reduce the "{what}" parameter to or below {most}.'
            )

    def _check_filter(self, chosen: Any, kind: str) -> None:
        if not self._limits or not chosen:
            return
        found = list(conditions(chosen))
        most = self._limits.get("filter_max_conditions")
        if most is not None and len(found) > most:
            reached = f"Filter condition limit reached ({len(found)} > {most})"
            raise _refused(reached, "Reduce the amount of conditions of your filter.")
        for key, one in found:
            self._check_condition_size(one.get("match"))
            if key and self._limits.get(kind) is False:
                needed = needed_indexes(one)
                self._check_indexed(key, needed, "Create an index for this key or use a different filter.", kind)

    def _check_condition_size(self, match: Any) -> None:
        most = self._limits.get("condition_max_size")
        values = (match.get("any") or match.get("except") or []) if isinstance(match, dict) else []
        if most is not None and len(values) > most:
            raise _refused(
                f"Condition size limit reached ({len(values)} > {most})", "Reduce the size of your condition."
            )

    def _check_indexed(
        self, key: str, needed: tuple[str, ...], help_: str, kind: str = "unindexed_filtering_retrieve"
    ) -> None:
        missing = missing_index(self._indexes, key, needed) if self._limits.get(kind) is False else None
        if missing:
            raise _refused(missing, help_)


def _vectors(content: JSON) -> Any:
    """All vectors of new points, each with its name."""
    given = [point.get("vector") or point.get("vectors") for point in content.get("points") or ()]
    for one in given:
        yield from one.items() if isinstance(one, dict) else [("", one)]
    columns = (content.get("batch") or {}).get("vectors") or []
    for name, column in columns.items() if isinstance(columns, dict) else [("", columns)]:
        yield from ((name, vector) for vector in column)
