"""What is on disk, and when."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from qdrant_client.local.persistence import CollectionPersistence

from deployments.catalogue.catalogue import HOME
from deployments.errors import ConfigError
from serve_app.embedded.store import EmbeddedStore
from tests.support.embedded import POINTS, Rest, fill

QUERIES = [
    {"query": [1, 1, 1], "using": "cosine"},
    {"query": [1, 1], "using": "euclid"},
    {"query": [[1, 0], [3, 1]], "using": "multi"},
    {"query": {"indices": [5, 12], "values": [1, 1]}, "using": "sparse"},
]


def answers(rest: Rest) -> list[Any]:
    """All that the store knows, with floats to five digits: lengths are divided out anew when it opens."""
    pages = [rest.result("POST", "/collections/c/points/scroll", {"with_vector": True})]
    hits = [rest.result("POST", "/collections/c/points/query", query) for query in QUERIES]
    return [rounded(page) for page in [*pages, *hits]]


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return [rounded(inner) for inner in value] if isinstance(value, list) else value


def test_a_restart_changes_no_answer(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    rest = Rest(store)
    fill(rest)
    rest.result("POST", "/collections/c/points/payload", {"payload": {"late": 1}, "points": [11]})
    rest.result("PUT", "/collections/c/points/vectors", {"points": [{"id": 12, "vector": {"cosine": [3, 0, 4]}}]})
    rest.result("POST", "/collections/c/points/vectors/delete", {"points": [13], "vector": ["sparse"]})
    rest.result("POST", "/collections/c/points/delete", {"points": [14]})
    rest.result(
        "POST", "/collections/aliases", {"actions": [{"create_alias": {"collection_name": "c", "alias_name": "a"}}]}
    )
    before = answers(rest)
    store.close()
    store = EmbeddedStore(tmp_path)
    rest = Rest(store)
    assert answers(rest) == before
    assert rest.result("POST", "/collections/a/points/count", {}) == {"count": 4}
    assert rest.result("GET", "/collections/c/points/12")["vector"]["cosine"] == pytest.approx([0.6, 0, 0.8])
    store.close()


KEEPER = """
import sys
from serve_app.embedded.store import EmbeddedStore
from tests.support.embedded import Rest
from tests.support.embedded import fill
store = EmbeddedStore(sys.argv[1])
fill(Rest(store))
print("filled", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_what_was_answered_outlives_a_killed_process_and_two_never_share_a_folder(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KEEPER, str(tmp_path)], cwd=HOME, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as keeper:
        try:
            assert keeper.stdout is not None
            assert keeper.stdout.readline() == b"filled\n"
            with pytest.raises(ConfigError, match=f"{tmp_path}.*another process"):
                EmbeddedStore(tmp_path)
        finally:
            keeper.send_signal(signal.SIGKILL)
    store = EmbeddedStore(tmp_path)
    assert answers(Rest(store))[0]["points"][0]["payload"] == {"number": 10}
    assert Rest(store).result("POST", "/collections/c/points/count", {}) == {"count": len(POINTS)}
    store.close()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "meta.json").write_text("{")
    for folder in (tmp_path / "file", tmp_path / "broken"):
        with pytest.raises(ConfigError, match=str(folder)):
            EmbeddedStore(folder)


@pytest.mark.parametrize("is_new", [True, False])
def test_a_disk_that_fails_in_the_middle_leaves_nothing_of_a_request(
    is_new: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EmbeddedStore(tmp_path)
    rest = Rest(store)
    fill(rest)
    before = answers(rest)
    persist = CollectionPersistence.persist
    written: list[Any] = []

    def failing(self: CollectionPersistence, point: Any) -> None:
        if len(written) == 2:
            raise OSError("no space left on device")
        written.append(point)
        persist(self, point)

    monkeypatch.setattr(CollectionPersistence, "persist", failing)
    points = [point | {"id": point["id"] + 100 * is_new, "payload": {"other": 1}} for point in POINTS]
    status, text = rest.error("PUT", "/collections/c/points", {"points": points})
    assert status == 500
    assert "Service internal error" in text
    assert answers(rest) == before
    monkeypatch.undo()
    rest.result("POST", "/collections/c/points/payload", {"payload": {}, "points": [10]})
    store.close()
    store = EmbeddedStore(tmp_path)
    assert answers(Rest(store)) == before
    store.close()


def test_a_deleted_collection_is_gone_from_the_disk(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    rest = Rest(store)
    fill(rest)
    assert rest.result("DELETE", "/collections/c") is True
    assert list((tmp_path / "collection").iterdir()) == []
    fill(rest)
    assert rest.result("POST", "/collections/c/points/count", {}) == {"count": len(POINTS)}
    store.close()
    assert [file.name for file in (tmp_path / "collection" / "c").iterdir()] == ["storage.sqlite"]
