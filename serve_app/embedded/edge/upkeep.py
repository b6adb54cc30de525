"""What is done to collections beside requests: bringing writes to the disk, and building their indexes.

The engine's `optimize` holds the interpreter for as long as it runs, which is minutes for a hundred thousand points.
It runs in a process of its own, therefore, on a copy of the shard; what was written meanwhile is made up for before
the copy takes the shard's place. Nothing waits for it but writes while the folder is copied.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from weakref import WeakKeyDictionary

from serve_app.embedded.edge.collection import Collection
from serve_app.embedded.edge.folders import copy, remove

log = logging.getLogger(__name__)

_EVERY_S = 0.5
_QUIET_S = 1.0
"""A collection that was not written to for so long is flushed."""
_AT_MOST_S = 30.0
"""So long a collection that is written to all the time goes without a flush."""
_SETTLED_S = 5.0
"""A collection that was not written to for so long gets its indexes built."""
_AGAIN_S = 300.0
"""After a failure, so long until the next attempt."""
_NICENESS = 10

_OPTIMIZE = """
import ctypes, os, signal, sys
import qdrant_edge
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # ends with its parent
if os.getppid() != int(sys.argv[2]):
    sys.exit(1)
os.nice(int(sys.argv[3]))
shard = qdrant_edge.EdgeShard.load(sys.argv[1])
shard.optimize()
shard.close()
"""


class Upkeep:
    """A thread that looks after all collections until it is stopped."""

    def __init__(self, collections: Callable[[], list[Collection]]) -> None:
        self._collections = collections
        self._stopped = threading.Event()
        self._not_before: WeakKeyDictionary[Collection, float] = WeakKeyDictionary()
        self._thread = threading.Thread(target=self._run, name="store-upkeep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; what is under way is given up."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(_EVERY_S):
            self._flush_all()
            for collection in self._collections():
                try:
                    self._build(collection)
                except Exception:
                    log.exception("building a collection's indexes failed")
                    self._wait_with(collection)

    def _wait_with(self, collection: Collection) -> None:
        self._not_before[collection] = time.monotonic() + _AGAIN_S

    def _flush_all(self) -> None:
        """Bring to the disk what has waited for long, of all collections, while the indexes of one are built too."""
        for collection in self._collections():
            try:
                self._flush(collection)
            except Exception:
                log.exception("a collection could not be flushed")

    def _flush(self, collection: Collection) -> None:
        shard = collection.shard
        quiet = time.monotonic() - shard.last_write
        if not collection.is_closed and shard.unflushed_s and (quiet > _QUIET_S or shard.unflushed_s > _AT_MOST_S):
            shard.flush()

    def _build(self, collection: Collection) -> None:
        now = time.monotonic()
        is_settled = now - collection.shard.last_write > _SETTLED_S
        may = not collection.is_closed and now > self._not_before.get(collection, 0.0)
        if may and is_settled and collection.needs_optimizing:
            self.optimize(collection)

    def optimize(self, collection: Collection) -> bool:
        """Build the indexes of a collection; false if that was given up."""
        target = collection.folder / uuid.uuid4().hex
        collection.is_optimizing = True
        try:
            changes = collection.shard.changes
            collection.shard.copy(lambda folder: copy(folder, target))
            done = self._optimized(target, collection) and collection.replace_shard(target)
            if done:
                collection.optimized_until(changes)
            return done
        finally:
            collection.is_optimizing = False
            collection.shard.forget_copy()
            if collection.shard.folder != target:
                remove(target)

    def _optimized(self, folder: Path, collection: Collection) -> bool:
        """Whether the engine has optimized a shard, in a process of its own; it ends if the collection does."""
        arguments = [sys.executable, "-c", _OPTIMIZE, str(folder), str(os.getpid()), str(_NICENESS)]
        with subprocess.Popen(arguments, stdin=subprocess.DEVNULL) as process:  # noqa: S603  nothing of a caller's
            while process.poll() is None:
                if self._stopped.wait(_EVERY_S) or collection.is_closed:
                    process.kill()
                    return False
                self._flush_all()
            if process.returncode:
                log.warning("building a collection's indexes ended with status %s", process.returncode)
                self._wait_with(collection)
            return process.returncode == 0
