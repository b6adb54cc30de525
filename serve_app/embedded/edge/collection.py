"""One collection: its configuration, its shard, and what can be asked of the two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import qdrant_edge as edge
from grpc import StatusCode

from serve_app.embedded.edge import answers, config, indexes, reading, shard, shard_keys, snapshots
from serve_app.embedded.edge.engine_config import vector_name_operation
from serve_app.embedded.edge.filter_work import Filters, Sample
from serve_app.embedded.edge.filters import FILTER
from serve_app.embedded.edge.folders import write_json
from serve_app.embedded.edge.operation_ids import OperationIds
from serve_app.embedded.edge.points import Kinds, point_id
from serve_app.embedded.edge.queries import changed
from serve_app.embedded.edge.reading import Object
from serve_app.embedded.edge.scoring_work import Sizes, check_scoring, is_one_vector
from serve_app.embedded.edge.selection import order_by, with_payload, with_vector
from serve_app.embedded.edge.strict import StrictMode
from serve_app.embedded.edge.strict_rates import Rates, read_cost
from serve_app.embedded.edge.updates import operations
from serve_app.embedded.engine.errors import GrpcError, bad_request, no_point, no_vector_name, not_found

JSON = dict[str, Any]
FILE = "collection.json"
"""The file of a collection, in its folder: without it there is none."""


_PAGE = 1000
"""Points that the engine reads at once."""


def _given(**given: Any) -> JSON:
    return given


_OF_SHARDS: dict[str, reading.Reader[Any]] = {"shard_key": shard_keys.of_reading}
_SELECTED: dict[str, reading.Reader[Any]] = {"with_payload": with_payload, "with_vector": with_vector, **_OF_SHARDS}
RETRIEVE = Object("PointRequest", _given, {"ids": reading.items(point_id), **_SELECTED}, ("ids",))
SCROLL = Object(
    "ScrollRequest",
    _given,
    {
        "offset": point_id,
        "limit": reading.Integer(1),
        "filter": FILTER,
        "order_by": order_by,
        **_SELECTED,
    },
)
COUNT = Object("CountRequest", _given, {"filter": FILTER, "exact": reading.boolean, **_OF_SHARDS})
FACET = Object(
    "FacetRequest",
    _given,
    {"key": reading.string, "limit": reading.Integer(1), "filter": FILTER, "exact": reading.boolean, **_OF_SHARDS},
    ("key",),
)


class Collection:
    """A collection that is open."""

    def __init__(self, folder: Path, document: JSON, engine: edge.EdgeShard) -> None:
        self.folder = folder
        self.name: str = document["name"]
        self.config: JSON = document["config"]
        self._indexes: JSON = document["indexes"]
        self.shard = shard.Shard(folder / document["shard"], engine)
        self.kinds: Kinds = config.kinds(self.config)
        self._rates = Rates(self.config.get("strict_mode_config"))
        self._replaces = document.get("replaces")
        self._operation_ids = OperationIds(document.get("operations", 0), self._save)
        self._sample = Sample()
        self.is_optimizing = False
        self.is_closed = False
        self._optimized_until = 0
        self._unindexed = self._not_indexed()

    def _save(self, operations: int | None = None, *, shard_folder: Path | None = None) -> None:
        document = self._document() if operations is None else {**self._document(), "operations": operations}
        write_json(self.folder / FILE, {**document, "shard": (shard_folder or self.shard.folder).name})

    def _document(self) -> JSON:
        return {
            "name": self.name,
            "config": self.config,
            "indexes": self._indexes,
            "shard": self.shard.folder.name,
            "operations": self._operation_ids.following,
            "replaces": self._replaces,
        }

    @property
    def operations(self) -> int:
        """The number that the next one may have of those that come after all that are there."""
        return self._operation_ids.following

    def snapshot(self, into: snapshots.Snapshots) -> JSON:
        """A new snapshot; writes wait."""
        return self.shard.archive(lambda folder: into.create(self.name, folder, self._document()))

    def _configure(self, new: JSON) -> None:
        if new.get("strict_mode_config") != self.config.get("strict_mode_config"):
            self._rates = Rates(new.get("strict_mode_config"))
        self.config = new
        self.kinds = config.kinds(new)
        self._save()

    def update(self, body: JSON) -> None:
        """Another configuration."""
        new = config.changed(self.config, body)
        if set(body) - {"metadata", "strict_mode_config"}:
            self.shard.reopen(new, otherwise=self.config)
        self._configure(new)

    def _info(self) -> edge.ShardInfo:
        return self.shard.read(lambda engine: engine.info())

    def info(self) -> JSON:
        """Status, size and configuration."""
        info = self._info()
        schema = {field: self._index_info(field, index) for field, index in info.payload_schema.items()}
        return {
            "status": "yellow" if self.is_optimizing else "green",
            "optimizer_status": "ok",
            "indexed_vectors_count": info.indexed_vectors_count,
            "points_count": info.points_count,
            "segments_count": info.segments_count,
            "config": self.config,
            "payload_schema": schema,
            "update_queue": {"length": 0},
            **({"warnings": warnings} if (warnings := config.warnings(self.config)) else {}),
        }

    def _index_info(self, field: str, index: Any) -> JSON:
        name = indexes.type_name(index.data_type)
        answer: JSON = {"data_type": name, "points": index.points}
        params = self._indexes.get(field)
        if isinstance(params, dict) and params.get("type") == name:
            answer["params"] = params
        return answer

    def indexes(self) -> JSON:
        """The schemas of the payload indexes by field, of those that the engine has."""
        found = self._info().payload_schema
        return {field: self._index_info(field, index) for field, index in found.items()}

    def strict_mode(self) -> StrictMode:
        """The limits that the configuration sets for requests."""
        limits = self.config.get("strict_mode_config")
        return StrictMode(self.config, self.indexes() if limits and limits.get("enabled") else {})

    def affordable(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The same request, with filters that keep nobody waiting; see `filter_work`."""
        if not any(body.get(name) for name in ("filter", "prefetch", "params")):
            return body
        return self._filters().affordable(body)

    def _filters(self) -> Filters:
        return Filters(self.shard, self._sample, self._sizes, self.indexes)

    def chosen(self, body: JSON, given: JSON) -> edge.Filter | None:
        """The filter of a request as the engine takes it."""
        affordable = self.affordable(body)
        read: edge.Filter | None = given.get("filter")
        return read if affordable is body else FILTER(affordable["filter"], "")

    def check_scoring(self, bodies: Iterable[Mapping[str, Any]]) -> None:
        """Refuse queries that would keep all others waiting; see `scoring_work`."""
        for body in bodies:
            if not is_one_vector(body):
                check_scoring(body, self.kinds, self._sizes())

    def _sizes(self) -> Sizes:
        info = self._info()
        indexed = info.indexed_vectors_count // max(1, len(self.kinds))
        return Sizes(info.points_count, max(0, info.points_count - indexed))

    def pay_for_reading(self, cost: Callable[[], int]) -> None:
        """Take what a request costs from what the strict mode allows a minute."""
        if self._rates.reads:
            self._rates.reads.take(cost())

    def _pay_for_writing(self, body: Sequence[Mapping[str, Any]], points: Sequence[int]) -> None:
        if self._rates.writes:
            for operation, listed in zip(body, points, strict=True):
                [content] = operation.values()
                chosen = content.get("filter")
                affected = self._count(FILTER(self.affordable(content)["filter"], "")) if chosen else listed
                self._rates.writes.take(max(1, affected))

    def _completed(self) -> JSON:
        return {"operation_id": self._operation_ids.take(), "status": "completed"}

    def create_index(self, body: JSON) -> JSON:
        """An index of a payload field."""
        given = indexes.CREATE(body, "")
        self.strict_mode().check_new_index(given["field_name"])
        if "field_schema" not in given:
            raise bad_request("a payload index needs a field_schema in the embedded store")
        field = given["field_name"]
        operation = reading.built(edge.UpdateOperation.create_field_index, "field_name", field, given["field_schema"])
        self._indexes = {**self._indexes, field: body["field_schema"]}
        self._save()
        self._write([operation])
        return self._completed()

    def delete_index(self, field: str) -> JSON:
        """No index of this field."""
        operation = reading.built(edge.UpdateOperation.delete_field_index, "field_name", field)
        self._write([operation])
        self._indexes = {name: schema for name, schema in self._indexes.items() if name != field}
        self._save()
        return self._completed()

    def create_vector_name(self, name: str, body: JSON) -> JSON:
        """A vector name that no point has a vector for yet."""
        if name in self.kinds:
            raise bad_request(f"Vector name '{name}' already exists")
        self._configure(config.with_vector_name(self.config, name, body))
        self._write([vector_name_operation(name, body)])
        return self._completed()

    def delete_vector_name(self, name: str) -> JSON:
        """A vector name and all its vectors, gone."""
        self._configure(config.without_vector_name(self.config, name))
        self._write([edge.UpdateOperation.delete_vector_name(name)])
        return self._completed()

    def write(self, body: Sequence[Mapping[str, Any]], *, tells_refusals: bool) -> list[JSON]:
        """All writes of points in their order; all are read before the first is begun."""
        where = "operations[{}]" if len(body) > 1 else ""
        read = [operations(self.kinds, one, where.format(number)) for number, one in enumerate(body)]
        self.strict_mode().check_updates(body, lambda: self._info().points_count)
        filters = self._filters()
        for operation, (_, points) in zip(body, read, strict=True):
            filters.check_write(next(iter(operation.values())), points)
        self._pay_for_writing(body, [points for _, points in read])
        affordable = chain.from_iterable(
            self._affordable_write(one, parts) for one, (parts, _) in zip(body, read, strict=True)
        )
        try:
            self._write(affordable, sum(count for _, count in read))
        except GrpcError as error:
            if tells_refusals or error.code is StatusCode.INTERNAL:
                raise
        return [self._completed() for _ in read]

    def _affordable_write(self, body: Mapping[str, Any], read: list[Any]) -> list[edge.UpdateOperation]:
        """One of a batch whose turn it is, after those before it."""
        [(name, content)] = body.items()
        affordable = self.affordable(content)
        return read if affordable is content else operations(self.kinds, {name: affordable})[0]

    def _write(self, operations: Iterable[edge.UpdateOperation], points: int = 0) -> None:
        self.shard.recover(self.config)
        self.shard.write(operations, points)

    def retrieve(self, body: JSON) -> list[JSON]:
        """The points with these ids, as far as there are any."""
        given = RETRIEVE(body, "")
        self.pay_for_reading(lambda: len(given["ids"]))
        self._check_names(given)
        return self.records(given["ids"], given.get("with_payload", True), given.get("with_vector", False))

    def records(self, ids: list[Any], payloads: Any, vectors: Any) -> list[JSON]:
        """The points with these ids, in their order."""
        by_id: dict[Any, JSON] = {}
        for first in range(0, len(ids), _PAGE):
            page = ids[first : first + _PAGE]
            found = self.shard.read(partial(_retrieved, ids=page, payloads=payloads, vectors=vectors))
            by_id.update((record["id"], record) for record in (answers.record(one, payloads) for one in found))
        return [by_id[one] for one in dict.fromkeys(ids) if one in by_id]

    def vector(self, number: int | str, name: str) -> Any:
        """The vector of a point as the engine takes it.

        Raises:
            GrpcError: there is no such point or no such vector.
        """
        names = [name] if name in self.kinds else []
        found = self.shard.read(lambda engine: engine.retrieve([number], False, names))  # noqa: FBT003
        if not found:
            raise no_point(number)
        if not names:
            raise no_vector_name(name)
        vector: Any = found[0].vector
        if isinstance(vector, dict):
            vector = vector.get(name)
        if not vector:
            raise not_found(f"No vector '{name}' of point {number} found")
        return vector

    def get_point(self, text: str) -> JSON:
        """The point with this id, with payload and vectors."""
        number = point_id(int(text) if text.isdecimal() else text, "id")
        found = self.records([number], True, True)  # noqa: FBT003
        if not found:
            raise not_found(f"Point with id {number} does not exists!")
        return found[0]

    def scroll(self, body: JSON) -> JSON:
        """A page of points in the order of their ids, or of a payload field."""
        given = SCROLL(body, "")
        self.strict_mode().check_read(body)
        chosen = self.chosen(body, given)
        self.pay_for_reading(lambda: read_cost(body))
        self._check_names(given)
        payloads = given.get("with_payload", True)
        order = given.get("order_by")
        if order is not None and "offset" in given:
            raise bad_request(
                "Cannot use an `offset` when using `order_by`. The alternative is to use `order_by.start_from`"
            )
        wanted = (chosen, payloads, given.get("with_vector", False), order)
        found, following = self._scrolled(given.get("offset"), given.get("limit", 10), wanted)
        return {
            "points": [answers.record(one, payloads) for one in found],
            "next_page_offset": None if following is None or order is not None else answers.json_id(following),
        }

    def _scrolled(self, offset: Any, limit: int, wanted: tuple[Any, ...]) -> tuple[list[Any], Any]:
        """Points, and the id of the one after them; many in the order of their ids are found page by page."""
        found: list[Any] = []
        by_field = wanted[-1] is not None
        while True:
            page = limit - len(found) if by_field else min(limit - len(found), _PAGE)
            request = edge.ScrollRequest(offset, page, *wanted)
            more, offset = self.shard.read(partial(_scrolled, request=request))
            found += more
            if by_field or offset is None or len(found) >= limit:
                return found, offset

    def count(self, body: JSON) -> JSON:
        """How many points pass a filter."""
        given = COUNT(body, "")
        self.strict_mode().check_read({"exact": True, **body})
        chosen = self.chosen(body, given)
        self.pay_for_reading(lambda: read_cost(body))
        return {"count": self._count(chosen, is_exact=given.get("exact", True))}

    def _count(self, chosen: edge.Filter | None, *, is_exact: bool = False) -> int:
        request = edge.CountRequest(is_exact, chosen)
        return self.shard.read(lambda engine: engine.count(request))

    def facet(self, body: JSON) -> JSON:
        """The values of a payload field, with how many points have each."""
        given = FACET(body, "")
        self.strict_mode().check_read(body)
        chosen = self.chosen(body, given)
        self.pay_for_reading(lambda: read_cost(body))
        limit, is_exact = given.get("limit", 10), given.get("exact", False)
        request = reading.built(edge.FacetRequest, "key", given["key"], limit, is_exact, chosen)
        hits = self.shard.read(lambda engine: engine.facet(request)).hits
        return {"hits": [{"value": _facet_value(hit.value), "count": hit.count} for hit in hits]}

    def query_many(self, requests: list[edge.QueryRequest]) -> list[list[JSON]]:
        """The points of several queries' answers. The engine keeps the GIL, so each query waits for others' turns."""
        return [self._queried(request) for request in requests]

    def _queried(self, request: edge.QueryRequest) -> list[JSON]:
        payloads, vectors = request.with_payload, request.with_vector
        if request.limit > _PAGE and (payloads or vectors):
            bare = self._queried(changed(request, with_payload=False, with_vector=False))
            filled = self.records([one["id"] for one in bare], payloads, vectors)
            by_id = {one["id"]: one for one in filled}
            return [{**one, **by_id[one["id"]]} for one in bare if one["id"] in by_id]
        found = self.shard.read(lambda engine: engine.query(request))
        return [answers.scored(one, request.with_payload, request.with_vector) for one in found]

    def _check_names(self, given: JSON) -> None:
        names = given.get("with_vector")
        for name in names if isinstance(names, list) else []:
            if name not in self.kinds:
                raise no_vector_name(name)

    def replace_shard(self, folder: Path) -> bool:
        """Go on with a copy of the shard that has been optimized."""
        return self.shard.replace(folder, self.config, lambda: self._save(shard_folder=folder))

    def _not_indexed(self) -> int:
        """How many points an opened collection has that no index leads to."""
        return self._sizes().unindexed if self.kinds else 0

    @property
    def needs_optimizing(self) -> bool:
        """Whether so much has changed since the last time that searches would profit: as much as Qdrant waits for."""
        threshold = self.config["optimizer_config"].get("indexing_threshold") or 0
        size = sum(4 * max(kind.size, 1) for kind in self.kinds.values())
        changed = self._unindexed + self.shard.changes - self._optimized_until
        return bool(threshold) and changed * size > threshold * 1024

    def optimized_until(self, changes: int) -> None:
        """The indexes hold what had been written when the shard had seen so many changes."""
        self._optimized_until = changes
        self._unindexed = 0

    def close(self) -> None:
        """Bring everything to the disk. No call may follow."""
        self.is_closed = True
        self._operation_ids.close()
        self.shard.close()


def _retrieved(engine: edge.EdgeShard, ids: list[Any], payloads: Any, vectors: Any) -> list[Any]:
    return engine.retrieve(ids, payloads, vectors)


def _scrolled(engine: edge.EdgeShard, request: edge.ScrollRequest) -> tuple[list[Any], Any]:
    return engine.scroll(request)


def _facet_value(value: Any) -> Any:
    return value if isinstance(value, bool | int | str) else str(value)
