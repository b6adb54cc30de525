"""Indexes are built beside requests, on a copy that takes the shard's place."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from serve_app.embedded.edge.collection import Collection
from serve_app.embedded.edge.store import EdgeStore
from serve_app.embedded.edge.upkeep import Upkeep

POINTS = [{"id": number, "vector": [number, 1.0, 2.0, 3.0], "payload": {"n": number}} for number in range(400)]


@pytest.fixture
def store(tmp_path: Path) -> EdgeStore:
    store = EdgeStore(tmp_path)
    store._upkeep.stop()  # on a busy machine it would begin before the test does
    body = {
        "vectors": {"size": 4, "distance": "Dot"},
        "optimizers_config": {"indexing_threshold": 1},
        "hnsw_config": {"full_scan_threshold": 10},
    }
    store.create_collection("c", body)
    store.update_points("c", [{"upsert": {"points": POINTS}}])
    return store


class Late(Upkeep):
    """Writes while the copy is worked on."""

    def __init__(self, collection: Collection, write: Any) -> None:
        super().__init__(list)
        self._late = collection, write

    def _optimized(self, folder: Path) -> bool:
        self._late[1]()
        return super()._optimized(folder)


def everything(store: EdgeStore) -> Any:
    return store.scroll("c", {"limit": 1000, "with_vector": True})


def test_what_is_written_while_indexes_are_built_is_there_afterwards_and_after_a_restart(
    store: EdgeStore, tmp_path: Path
) -> None:
    collection = store.collection("c")
    assert collection.needs_optimizing

    def write() -> None:
        late = {"id": 1000, "vector": [1, 1, 1, 1], "payload": {"n": "late"}}
        store.update_points("c", [{"upsert": {"points": [late]}}, {"delete": {"points": [5]}}])
        store.create_index("c", {"field_name": "n", "field_schema": "integer"})

    upkeep = Late(collection, write)
    assert upkeep.optimize(collection)
    upkeep.stop()
    assert not collection.needs_optimizing
    info = store.get_collection("c", None)
    assert info["points_count"] == len(POINTS)
    assert info["indexed_vectors_count"] > 0
    assert info["status"] == "green"
    assert list(info["payload_schema"]) == ["n"]
    ids = [point["id"] for point in everything(store)["points"]]
    assert ids == [number for number in range(400) if number != 5] + [1000]
    [best] = store.query_batch("c", [{"query": [1, 0, 0, 0], "limit": 1}])[0]["points"]
    assert best["id"] == 399
    store.close()
    again = EdgeStore(tmp_path)
    assert [point["id"] for point in everything(again)["points"]] == ids
    again.close()


def test_a_changed_configuration_makes_the_copy_worthless(store: EdgeStore) -> None:
    collection = store.collection("c")
    upkeep = Late(collection, lambda: store.update_collection("c", {"hnsw_config": {"m": 8}}))
    assert not upkeep.optimize(collection)
    upkeep.stop()
    assert len(everything(store)["points"]) == len(POINTS)
    assert len([path for path in collection.folder.iterdir() if path.is_dir()]) == 1
    store.close()


def test_searches_go_on_while_indexes_are_built(store: EdgeStore) -> None:
    collection = store.collection("c")
    answered = []
    upkeep = Upkeep(list)
    building = threading.Thread(target=upkeep.optimize, args=(collection,))
    building.start()
    while building.is_alive():
        answered += store.query_batch("c", [{"query": 7, "limit": 3}])
    upkeep.stop()
    assert len(answered) > 10
    assert all(len(answer["points"]) == 3 for answer in answered)
    store.close()
