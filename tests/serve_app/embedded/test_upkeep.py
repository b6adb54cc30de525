"""Indexes are built beside requests, on a copy that takes the shard's place."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from serve_app.embedded.edge import upkeep
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

    def _optimized(self, folder: Path, collection: Collection) -> bool:
        self._late[1]()
        return super()._optimized(folder, collection)


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

    keeping = Late(collection, write)
    assert keeping.optimize(collection)
    keeping.stop()
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
    keeping = Late(collection, lambda: store.update_collection("c", {"hnsw_config": {"m": 8}}))
    assert not keeping.optimize(collection)
    keeping.stop()
    assert len(everything(store)["points"]) == len(POINTS)
    assert len([path for path in collection.folder.iterdir() if path.is_dir()]) == 1
    store.close()


def test_searches_go_on_while_indexes_are_built(store: EdgeStore) -> None:
    collection = store.collection("c")
    answered = []
    keeping = Upkeep(list)
    building = threading.Thread(target=keeping.optimize, args=(collection,))
    building.start()
    while building.is_alive():
        answered += store.query_batch("c", [{"query": 7, "limit": 3}])
    keeping.stop()
    assert len(answered) > 10
    assert all(len(answer["points"]) == 3 for answer in answered)
    store.close()


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Indexes whose building does not end by itself."""
    monkeypatch.setattr(upkeep, "_OPTIMIZE", "import time; time.sleep(100)")
    monkeypatch.setattr(upkeep, "_EVERY_S", 0.01)


@pytest.mark.usefixtures("endless")
def test_a_collection_that_is_deleted_ends_the_building_of_its_indexes(store: EdgeStore) -> None:
    collection = store.collection("c")
    keeping = Late(collection, lambda: store.delete_collection("c", None))
    assert not keeping.optimize(collection)
    keeping.stop()
    assert not collection.folder.exists()
    store.close()


@pytest.mark.usefixtures("endless")
def test_others_are_flushed_while_the_indexes_of_one_are_built(
    store: EdgeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_QUIET_S", 0)
    monkeypatch.setattr(upkeep, "_SETTLED_S", 0)
    store.create_collection("other", {"vectors": {"size": 4, "distance": "Dot"}})
    collection, other = store.collection("c"), store.collection("other")
    keeping = Upkeep(store.open_collections)
    while not collection.is_optimizing:
        time.sleep(0.01)
    other.write([{"upsert": {"points": POINTS[:1]}}], tells_refusals=True)
    while other.shard.unflushed_s:
        time.sleep(0.01)
    assert collection.is_optimizing
    keeping.stop()
    store.close()


def test_a_failure_of_one_collection_keeps_no_other_waiting(store: EdgeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "_SETTLED_S", 0)
    monkeypatch.setattr(upkeep, "_EVERY_S", 0.01)
    body = {"vectors": {"size": 4, "distance": "Dot"}, "optimizers_config": {"indexing_threshold": 1}}
    store.create_collection("other", body)
    store.update_points("other", [{"upsert": {"points": POINTS}}])
    asked: list[str] = []

    def failing(self: Upkeep, collection: Collection) -> bool:
        asked.append(collection.name)
        raise RuntimeError

    monkeypatch.setattr(Upkeep, "optimize", failing)
    keeping = Upkeep(store.open_collections)
    while len(asked) < 2:
        time.sleep(0.01)
    time.sleep(0.1)
    keeping.stop()
    assert sorted(asked) == ["c", "other"], "each once, and again in some minutes"
    store.close()
