"""A folder of the store before is moved as a whole, and refused until then."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from qdrant_client import QdrantClient, models

from deployments.errors import ConfigError
from serve_app.embedded.edge.migrate import migrate
from serve_app.embedded.store import EmbeddedStore
from tests.support.embedded import Rest


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder of qdrant-client's local mode, with a file of somebody else."""
    folder = tmp_path / "data"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = QdrantClient(path=str(folder))
        client.create_collection(
            "things",
            {"dense": models.VectorParams(size=2, distance=models.Distance.COSINE)},
            sparse_vectors_config={"sparse": models.SparseVectorParams(modifier=models.Modifier.IDF)},
            metadata={"made": "here"},
        )
        points = [
            models.PointStruct(
                id=number,
                vector={"dense": [0.6, 0.8], "sparse": models.SparseVector(indices=[number], values=[1.0])},
                payload={"number": number, "none": None},
            )
            for number in range(300)
        ]
        client.upsert("things", points)
        client.update_collection_aliases(
            [models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name="things", alias_name="stuff"))]
        )
        client.close()
    (folder / "ledger.sqlite").write_text("counts")
    return folder


def test_all_points_aliases_and_metadata_are_moved_and_the_old_store_is_kept(old: Path) -> None:
    reported: list[tuple[str, int]] = []
    kept = migrate(old, lambda name, count: reported.append((name, count)))
    assert reported == [("things", 300)]
    assert (kept / "meta.json").exists()
    assert (old / "ledger.sqlite").read_text() == "counts"
    store = EmbeddedStore(old)
    rest = Rest(store)
    assert rest.result("POST", "/collections/stuff/points/count", {}) == {"count": 300}
    assert rest.result("GET", "/collections/things")["config"]["metadata"] == {"made": "here"}
    point = rest.result("GET", "/collections/things/points/299")
    assert point["payload"] == {"number": 299, "none": None}
    assert point["vector"]["dense"] == pytest.approx([0.6, 0.8])
    assert point["vector"]["sparse"] == {"indices": [299], "values": [1]}
    store.close()


def test_a_folder_of_the_old_form_is_refused_with_the_command_that_moves_it(old: Path) -> None:
    with pytest.raises(ConfigError, match=r"store migrate --folder .*data"):
        EmbeddedStore(old)


def test_there_has_to_be_something_to_move(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no store of the older form"):
        migrate(tmp_path, lambda *_: None)
