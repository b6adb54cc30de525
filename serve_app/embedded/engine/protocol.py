"""What a store can do, in Qdrant's REST shape: the only thing that the routes of both protocols see of an engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

JSON = Any
"""A value of JSON as Python has it. Vectors of answers are float32 arrays of numpy."""


class Engine(Protocol):
    """Collections of points.

    All methods are synchronous and any thread may call them. They take a collection's name or alias and a body as
    Qdrant's REST API describes it, and give what stands under `result` there.

    Raises:
        GrpcError: the request is refused, for the reason that Qdrant would give.
    """

    def list_collections(self, collection: str, body: JSON, /) -> JSON:
        """The names of all collections."""
        ...

    def get_collection(self, collection: str, body: JSON, /) -> JSON:
        """Status, size and configuration."""
        ...

    def collection_exists(self, collection: str, body: JSON, /) -> JSON:
        """Whether there is a collection or an alias of that name."""
        ...

    def create_collection(self, collection: str, body: JSON, /) -> JSON:
        """A new collection."""
        ...

    def update_collection(self, collection: str, body: JSON, /) -> JSON:
        """Another configuration."""
        ...

    def delete_collection(self, collection: str, body: JSON, /) -> JSON:
        """Whether there was such a collection; there is none afterwards."""
        ...

    def update_aliases(self, collection: str, body: JSON, /) -> JSON:
        """All changes of aliases, or none."""
        ...

    def list_aliases(self, collection: str, body: JSON, /) -> JSON:
        """All aliases."""
        ...

    def list_collection_aliases(self, collection: str, body: JSON, /) -> JSON:
        """The aliases of one collection."""
        ...

    def create_index(self, collection: str, body: JSON, /) -> JSON:
        """An index of a payload field."""
        ...

    def delete_index(self, collection: str, body: str, /) -> JSON:
        """No index of this field."""
        ...

    def create_vector_name(self, collection: str, body: tuple[str, JSON], /) -> JSON:
        """A vector name that no point has a vector for yet."""
        ...

    def delete_vector_name(self, collection: str, body: str, /) -> JSON:
        """A vector name and all its vectors, gone."""
        ...

    def update_points(
        self, collection: str, body: Sequence[Mapping[str, JSON]], /, *, tells_refusals: bool = True
    ) -> list[JSON]:
        """Writes of points, in their order; all are checked before the first is begun.

        `tells_refusals` is about those that the points in the collection are a reason for, such as one that is missing.
        """
        ...

    def get_point(self, collection: str, body: str, /) -> JSON:
        """One point, with payload and vectors."""
        ...

    def retrieve(self, collection: str, body: JSON, /) -> JSON:
        """The points with these ids, as far as there are any."""
        ...

    def scroll(self, collection: str, body: JSON, /) -> JSON:
        """A page of points."""
        ...

    def count(self, collection: str, body: JSON, /) -> JSON:
        """How many points pass a filter."""
        ...

    def facet(self, collection: str, body: JSON, /) -> JSON:
        """The values of a payload field, with how many points have each."""
        ...

    def query_batch(self, collection: str, body: Sequence[JSON], /) -> list[JSON]:
        """The answers of several queries."""
        ...

    def query_groups(self, collection: str, body: JSON, /) -> JSON:
        """The answer of a query, in groups of equal payload values."""
        ...

    def matrix_pairs(self, collection: str, body: JSON, /) -> JSON:
        """Distances within a sample of points, as pairs."""
        ...

    def matrix_offsets(self, collection: str, body: JSON, /) -> JSON:
        """The same as a sparse matrix."""
        ...

    def create_snapshot(self, collection: str, body: JSON, /) -> JSON:
        """All of a collection in a file."""
        ...

    def list_snapshots(self, collection: str, body: JSON, /) -> list[JSON]:
        """The snapshots of a collection."""
        ...

    def delete_snapshot(self, collection: str, body: str, /) -> JSON:
        """No snapshot of this name."""
        ...

    def snapshot_file(self, collection: str, body: str, /) -> Path:
        """The file of a snapshot."""
        ...

    def recover_snapshot(self, collection: str, body: JSON, /) -> JSON:
        """The collection as a snapshot has it that the store keeps."""
        ...

    def upload_snapshot(self, collection: str, body: tuple[bytes, str | None], /) -> JSON:
        """The collection as a snapshot has it that a caller brings, with the SHA-256 that it should have."""
        ...

    def check_timeout(self, collection: str, seconds: int, /) -> None:
        """Refuse a request of this timeout if the collection's strict mode does not allow it."""

    def close(self) -> None:
        """Write everything to the disk and give the folder free. No call may follow."""


UPDATES = frozenset(("create_index", "delete_index", "create_vector_name", "delete_vector_name", "update_points"))
"""The operations that a collection numbers, and that a caller may wait for or not."""
WRITES = UPDATES | {
    *("create_collection", "update_collection", "delete_collection", "update_aliases"),
    *("create_snapshot", "delete_snapshot", "recover_snapshot", "upload_snapshot"),
}
"""The operations that change something: they are carried out one after the other, in the order of their arrival."""


@dataclass(frozen=True)
class Waiting:
    """How a caller waits: whether for what an update does, and for at most how many seconds."""

    wait: bool
    timeout: int | None


def carried_out(engine: Engine, operation: str, collection: str, body: Any, waiting: Waiting) -> Any:
    """The result of one of the engine's operations.

    An update is complete when it is answered, also if nobody waits for it. What it was refused for by the points that
    are there is then not told, as in Qdrant, which had not looked yet.
    """
    if waiting.timeout is not None:
        engine.check_timeout(collection, waiting.timeout)
    if operation != "update_points" or waiting.wait:
        result = getattr(engine, operation)(collection, body)
    else:
        result = engine.update_points(collection, body, tells_refusals=False)
    if operation in UPDATES and not waiting.wait:
        for one in result if isinstance(result, list) else [result]:
            one["status"] = "acknowledged"
    return result
