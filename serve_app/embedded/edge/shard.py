"""One shard of Qdrant's engine in a folder, opened, changed and replaced while others search it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, TypeVar

import qdrant_edge as edge
from grpc import StatusCode

from deployments.shared_lock import SharedLock
from serve_app.embedded.edge.config import dense_vectors, kinds
from serve_app.embedded.edge.config_schema import JSON
from serve_app.embedded.edge.engine_config import NO_VECTOR, engine_config, vector_name_operation
from serve_app.embedded.edge.failures import translated
from serve_app.embedded.edge.folders import check_space, read_json, remove
from serve_app.embedded.engine.errors import GrpcError

T = TypeVar("T")


def create(folder: Path, config: JSON) -> edge.EdgeShard:
    """A new shard."""
    folder.mkdir(parents=True)
    with translated():
        return edge.EdgeShard.create(str(folder), engine_config(config))


def opened(folder: Path, config: JSON) -> edge.EdgeShard:
    """The shard as the configuration describes it, also when a crash came between the two."""
    stored = read_json(folder / "edge_config.json")
    names = {*stored.get("vectors", {}), *stored.get("sparse_vectors", {})} - {NO_VECTOR}
    wanted = set(kinds(config))
    with translated():
        if names == wanted and (NO_VECTOR in stored.get("sparse_vectors", {})) == (not wanted):
            return edge.EdgeShard.load(str(folder), engine_config(config))
        shard = edge.EdgeShard.load(str(folder))
        for name in wanted - names:
            shard.update(vector_name_operation(name, _as_name(config, name)))
        for name in names - wanted:
            shard.update(edge.UpdateOperation.delete_vector_name(name))
        return shard


def _as_name(config: JSON, name: str) -> JSON:
    dense = dense_vectors(config)
    if name in dense:
        fields = ("size", "distance", "datatype", "multivector_config")
        return {"dense": {field: dense[name].get(field) for field in fields}}
    sparse = config["params"]["sparse_vectors"][name]
    return {"sparse": {**sparse, **sparse.get("index", {})}}


class Shard:
    """A shard that any thread may search, and one at a time may write to.

    The engine logs each write before it carries it out, so that what was answered outlives the process; `flush`
    brings everything to the disk, and makes the log short again.
    """

    def __init__(self, folder: Path, engine: edge.EdgeShard) -> None:
        self.folder = folder
        self._shard = engine
        self._in_use = SharedLock()
        self._writes = threading.RLock()
        self._recorded: list[edge.UpdateOperation] | None = None
        self._unflushed_since: float | None = None
        self.last_write = 0.0
        self.changes = 0
        self.has_failed = False

    def read(self, ask: Callable[[edge.EdgeShard], T]) -> T:
        """What the engine answers; it lets other threads work meanwhile."""
        with self._in_use.shared(), translated():
            return ask(self._shard)

    def write(self, operations: Iterable[edge.UpdateOperation], points: int = 0) -> None:
        """Carry out operations on so many points, one after the other, up to the first that fails."""
        check_space(self.folder)
        with self._writes:
            self.changes += points
            for operation in operations:
                self.last_write = time.monotonic()
                self._unflushed_since = self._unflushed_since or self.last_write
                if self._recorded is not None:
                    self._recorded.append(operation)
                self._carry_out(operation)

    def _carry_out(self, operation: edge.UpdateOperation) -> None:
        try:
            self.read(lambda shard: shard.update(operation))
        except GrpcError as error:
            self.has_failed = self.has_failed or error.code is StatusCode.INTERNAL
            raise

    @property
    def unflushed_s(self) -> float:
        """For how long there has been something that only the log has."""
        since = self._unflushed_since
        return 0.0 if since is None else time.monotonic() - since

    def flush(self) -> None:
        """Bring everything to the disk; the interpreter stands still meanwhile."""
        with self._writes:
            self._unflushed_since = None
            self.read(lambda shard: shard.flush())

    def recover(self, config: JSON) -> None:
        """Be ready for a write after one that failed inside the engine, for want of disk space for example.

        The engine takes no other one before it has opened its folder again, with all that its log has.
        """
        with self._writes:
            if self.has_failed:
                check_space(self.folder)
                self.reopen(config)

    def reopen(self, config: JSON, otherwise: JSON | None = None) -> None:
        """The same shard with another configuration; searches wait.

        If the engine refuses that, the shard goes on with the one that it had, `otherwise`, and the refusal is raised.
        """
        with self._writes:
            self._recorded = None
            with self._in_use.alone():
                # After a failure it may be unable to write what it still has (Exception is the engine's only class).
                with suppress(Exception) if self.has_failed else nullcontext():
                    self._shard.close()
                try:
                    self._shard = opened(self.folder, config)
                except GrpcError:
                    if otherwise is not None:
                        self._shard = opened(self.folder, otherwise)
                    raise
            self.has_failed = False

    def archive(self, write: Callable[[Path], T]) -> T:
        """What `write` makes of the folder, while nothing else is written."""
        with self._writes:
            self.flush()
            return write(self.folder)

    def copy(self, into: Callable[[Path], Any]) -> None:
        """Let `into` copy the folder while nothing is written, and record what is written from now on."""
        with self._writes:
            self.flush()
            into(self.folder)
            self._recorded = []

    def forget_copy(self) -> None:
        """Record no more."""
        with self._writes:
            self._recorded = None

    def replace(self, folder: Path, config: JSON, commit: Callable[[], None]) -> bool:
        """Go on with a copy in `folder`, after it has got what was written meanwhile.

        `commit` is called when the copy is complete and nothing is written; afterwards the old folder is gone. False if
        there is nothing to bring the copy up to date with, since the configuration has changed.
        """
        copy = opened(folder, config)
        while len(late := self._take_recorded()) > _FEW:
            _apply(copy, late)
        with self._writes:
            if self._recorded is None:
                copy.close()
                return False
            _apply(copy, [*late, *self._recorded])
            self._recorded = None
            copy.flush()
            commit()
            with self._in_use.alone():
                old, self._shard, gone, self.folder = self._shard, copy, self.folder, folder
            old.close()
            remove(gone)
            return True

    def _take_recorded(self) -> list[edge.UpdateOperation]:
        with self._writes:
            taken, self._recorded = self._recorded or [], [] if self._recorded is not None else None
            return taken

    def close(self) -> None:
        """Bring everything to the disk. No call may follow."""
        with self._writes, self._in_use.alone():
            self._shard.close()


_FEW = 8
"""So many operations are made up for while others wait."""


def _apply(shard: edge.EdgeShard, operations: list[edge.UpdateOperation]) -> None:
    """Repeat operations; one that failed fails again, at the same point."""
    for operation in operations:
        try:
            with translated():
                shard.update(operation)
        except GrpcError:
            continue
