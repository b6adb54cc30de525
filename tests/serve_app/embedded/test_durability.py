"""What is on disk, and when."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deployments.catalogue.catalogue import HOME
from deployments.errors import ConfigError
from serve_app.embedded.store import EmbeddedStore
from tests.support.embedded import COLLECTION, POINTS, Rest, fill
from tests.support.killed_upload import killed, missing

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


def without_idf(known: list[Any]) -> list[Any]:
    """The same without the scores of the sparse query, whose IDF forgets deleted points when the store opens."""
    *others, sparse = known
    return [*others, [point["id"] for point in sparse["points"]]]


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
    assert without_idf(answers(rest)) == without_idf(before)
    assert rest.result("POST", "/collections/a/points/count", {}) == {"count": 4}
    assert rest.result("GET", "/collections/c/points/12")["vector"]["cosine"] == pytest.approx([0.6, 0, 0.8])
    store.close()


def test_an_operations_number_never_comes_twice(tmp_path: Path) -> None:
    taken: list[int] = []
    for is_killed in (False, True, False):
        store = EmbeddedStore(tmp_path)
        rest = Rest(store)
        if not taken:
            rest.result("PUT", "/collections/c", COLLECTION)
        taken += [rest.result("PUT", "/collections/c/points", {"points": POINTS})["operation_id"] for _ in range(2)]
        saved = {path: path.read_bytes() for path in tmp_path.glob("collections/*/collection.json")}
        store.close()
        if is_killed:
            for path, content in saved.items():
                path.write_bytes(content)
    assert taken[:4] == [0, 1, 2, 3]
    assert taken == sorted(set(taken))


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


def test_a_disk_that_is_nearly_full_takes_no_write_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EmbeddedStore(tmp_path)
    rest = Rest(store)
    fill(rest)
    before = answers(rest)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    for call in (
        ("PUT", "/collections/c/points", {"points": POINTS}),
        ("POST", "/collections/c/points/delete", {"filter": {}}),
        ("PUT", "/collections/d", COLLECTION),
    ):
        status, text = rest.error(*call)
        assert status == 500
        assert "no space left" in text
    assert answers(rest) == before
    monkeypatch.undo()
    rest.result("POST", "/collections/c/points/payload", {"payload": {}, "points": [10]})
    store.close()
    store = EmbeddedStore(tmp_path)
    assert answers(Rest(store))[0] == before[0]
    store.close()


def test_after_a_write_that_failed_in_the_engine_the_next_one_is_taken(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    rest = Rest(store)
    rest.result("PUT", "/collections/c", COLLECTION)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # what the engine would write now does not fit
    try:
        failed = rest.error("PUT", "/collections/c/points", {"points": POINTS})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert failed[0] == 500
    rest.result("PUT", "/collections/c/points", {"points": POINTS})
    assert rest.result("POST", "/collections/c/points/count", {}) == {"count": len(POINTS)}
    known = answers(rest)
    store.close()
    store = EmbeddedStore(tmp_path)
    assert answers(Rest(store))[0] == known[0]
    store.close()


def test_no_acknowledged_point_is_lost_if_the_process_is_killed_while_it_writes(tmp_path: Path) -> None:
    """`python -m tests.support.killed_upload` does this a hundred times in one folder."""
    acknowledged = killed(tmp_path, 0, answers=30)
    store = EmbeddedStore(tmp_path)
    assert missing(Rest(store), range(acknowledged)) == []
    store.close()


def test_what_a_crash_left_of_a_collection_is_removed(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    fill(Rest(store))
    store.close()
    (tmp_path / "collections" / "half" / "shard").mkdir(parents=True)
    [folder] = [path for path in (tmp_path / "collections").iterdir() if path.name != "half"]
    (folder / "copy").mkdir()
    store = EmbeddedStore(tmp_path)
    assert Rest(store).result("POST", "/collections/c/points/count", {}) == {"count": len(POINTS)}
    assert list((tmp_path / "collections").iterdir()) == [folder]
    assert not (folder / "copy").exists()
    store.close()


def test_a_folder_that_cannot_be_written_to_is_named() -> None:
    with pytest.raises(ConfigError, match="/proc/store"):
        EmbeddedStore("/proc/store")


def test_a_deleted_collection_is_gone_from_the_disk(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    rest = Rest(store)
    fill(rest)
    assert rest.result("DELETE", "/collections/c") is True
    assert list((tmp_path / "collections").iterdir()) == []
    fill(rest)
    assert rest.result("POST", "/collections/c/points/count", {}) == {"count": len(POINTS)}
    store.close()
    assert len(list((tmp_path / "collections").iterdir())) == 1
