"""Local mode in a folder, with collections of our own kind."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any, cast

from qdrant_client.common.client_warnings import SEEN_MESSAGES
from qdrant_client.local.qdrant_local import QdrantLocal
from typing_extensions import override

from serve_app.embedded.local.collection import Collection

SEEN_MESSAGES.update(
    (
        "create-local-payload-indexes",
        "delete-local-payload-indexes",
        "large-local-collection",
        "local_query_points_search_params_ignored",
    )
)
"""Hints for programs that hold local mode themselves; our callers would never see them."""


class Local(QdrantLocal):
    """Local mode, all of whose collections are `Collection`s; any thread may call it, but one at a time.

    Raises:
        RuntimeError: another process has the folder.
    """

    LARGE_DATA_THRESHOLD = sys.maxsize  # the same hint when a large collection is loaded

    def __init__(self, folder: str) -> None:
        self._holds_lock = False
        try:
            super().__init__(folder, force_disable_check_same_thread=True)
            self._holds_lock = True
        except BaseException:
            self.close()
            raise
        self.operation_ids = itertools.count()

    @override
    def close(self, **kwargs: Any) -> None:
        """As inherited; the lock's file goes first, while the lock still keeps others from it."""
        if self._flock_file is not None and not self._flock_file.closed and self._holds_lock:
            Path(self._flock_file.name).unlink(missing_ok=True)
        super().close(**kwargs)

    @override
    def _load(self) -> None:
        super()._load()
        for name, collection in self.collections.items():
            self.collections[name] = Collection(collection)

    @override
    def create_collection(self, collection_name: str, *args: Any, **kwargs: Any) -> bool:
        super().create_collection(collection_name, *args, **kwargs)
        self.collections[collection_name] = Collection(self.collections[collection_name])
        return True

    @override
    def delete_collection(self, collection_name: str, **kwargs: Any) -> bool:
        """As inherited, but nothing happens to what is no collection, and its file is closed first."""
        if collection_name not in self.collections:
            return False
        self.collections[collection_name].close()
        return super().delete_collection(collection_name, **kwargs)

    def collection(self, name: str) -> Collection:
        """The collection of that name or alias.

        Raises:
            ValueError: there is none.
        """
        return cast("Collection", self._get_collection(name))
