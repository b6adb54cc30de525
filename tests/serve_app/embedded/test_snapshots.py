"""Snapshots of a collection: made, listed, fetched, deleted, and a collection recovered from one."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import grpc

from serve_app.embedded.edge import collection_folders
from serve_app.embedded.store import EmbeddedStore
from tests.support.embedded import POINTS, Rest, fill

SNAPSHOTS = "/collections/c/snapshots"


@pytest.fixture(autouse=True)
def _filled(rest: Rest) -> None:
    fill(rest)
    rest.result("PUT", "/collections/c/index", {"field_name": "number", "field_schema": "integer"})
    rest.result("PATCH", "/collections/c", {"metadata": {"a": 1}})


def everything(rest: Rest, name: str) -> Any:
    points = rest.result("POST", f"/collections/{name}/points/scroll", {"with_vector": True})
    info = rest.result("GET", f"/collections/{name}")
    return points, info["config"], info["payload_schema"]


def content_of(rest: Rest, name: str) -> bytes:
    status, content = rest.store.rest("GET", f"{SNAPSHOTS}/{name}", "", b"")
    assert status == 200
    return content


def uploaded(rest: Rest, name: str, content: bytes, query: str = "") -> int:
    head = b'--b0\r\ncontent-disposition: form-data; name="snapshot"; filename="s"\r\n\r\n'
    form = head + content + b"\r\n--b0--\r\n"
    return int(rest.store.rest("POST", f"/collections/{name}/snapshots/upload", query, form)[0])


def test_a_snapshot_is_made_listed_fetched_and_deleted(rest: Rest) -> None:
    assert rest.result("GET", SNAPSHOTS) == []
    made = rest.result("POST", SNAPSHOTS)
    assert rest.result("GET", SNAPSHOTS) == [made]
    content = content_of(rest, made["name"])
    assert (made["size"], made["checksum"]) == (len(content), hashlib.sha256(content).hexdigest())
    found = rest.store.file("GET", f"{SNAPSHOTS}/{made['name']}")
    assert found is not None
    assert found.read_bytes() == content
    assert rest.result("DELETE", f"{SNAPSHOTS}/{made['name']}") is True
    assert rest.result("GET", SNAPSHOTS) == []
    assert rest.error("DELETE", f"{SNAPSHOTS}/{made['name']}")[0] == 404


def test_a_collection_is_what_its_snapshot_has(rest: Rest, tmp_path: Path) -> None:
    before = everything(rest, "c")
    made = rest.result("POST", SNAPSHOTS)
    location = f"file://{tmp_path}/store/snapshots/c/{made['name']}"
    rest.result("POST", "/collections/c/points/delete", {"filter": {}})
    rest.result("DELETE", "/collections/c/index/number")
    rest.result("PUT", f"{SNAPSHOTS}/recover", {"location": location, "checksum": made["checksum"]})
    assert everything(rest, "c") == before
    rest.result("PUT", "/collections/other/snapshots/recover", {"location": location, "priority": "snapshot"})
    assert everything(rest, "other") == before
    rest.result("DELETE", "/collections/other")
    assert uploaded(rest, "other", content_of(rest, made["name"]), f"checksum={made['checksum']}") == 200
    rest.result("PUT", "/collections/other/points", {"points": POINTS[:1]})
    rest.store.close()
    again = EmbeddedStore(tmp_path / "store")
    assert everything(Rest(again), "c") == everything(Rest(again), "other") == before
    assert len(list((tmp_path / "store" / "collections").iterdir())) == 2
    again.close()


def test_a_crash_leaves_the_old_collection_or_the_recovered_one(
    rest: Rest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = rest.result("POST", SNAPSHOTS)
    content = content_of(rest, made["name"])
    rest.result("POST", "/collections/c/points/delete", {"points": [10]})

    def ended(*_: Any) -> None:
        raise SystemExit

    for name, points in (("write_json", len(POINTS) - 1), ("delete", len(POINTS))):
        with monkeypatch.context() as patch:
            patch.setattr(collection_folders, name, ended)
            with pytest.raises(SystemExit):
                uploaded(rest, "c", content)
        rest.store.close()
        rest = Rest(EmbeddedStore(tmp_path / "store"))
        assert rest.result("POST", "/collections/c/points/count", {}) == {"count": points}
        assert len(list((tmp_path / "store" / "collections").iterdir())) == 1
    rest.store.close()


def tar(**members: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


DOCUMENT = b'{"config": {"params": {}}, "indexes": {}, "operations": 0}'
NO_SNAPSHOTS = {
    "nothing": b"",
    "no tar": b"x" * 2000,
    "no document": tar(**{"shard/a": b"1"}),
    "no JSON": tar(**{"collection.json": b"{"}),
    "no object": tar(**{"collection.json": b"[]"}),
    "no configuration": tar(**{"collection.json": b"{}"}),
    "no shard": tar(**{"collection.json": DOCUMENT}),
    "a file outside": tar(**{"shard/../../../../outside": b"1", "collection.json": DOCUMENT}),
}


@pytest.mark.parametrize("case", NO_SNAPSHOTS)
def test_what_is_no_snapshot_changes_nothing(rest: Rest, tmp_path: Path, case: str) -> None:
    before = everything(rest, "c")
    assert uploaded(rest, "c", NO_SNAPSHOTS[case]) == 400
    assert everything(rest, "c") == before
    assert sorted(path.name for path in tmp_path.rglob("outside")) == []
    assert len(list((tmp_path / "store" / "collections").iterdir())) == 1


def test_a_location_is_a_file_among_the_snapshots(rest: Rest, tmp_path: Path) -> None:
    (tmp_path / "x.snapshot").write_bytes(b"secret")
    absent = "does not exist"
    for location, status, words in (
        ("file://whatever.snapshot", 400, "Invalid snapshot URI, file path must be absolute or on localhost"),
        ("file:///whatever.snapshot", 400, 'Bad request: Snapshot file "/whatever.snapshot" does not exist'),
        ("file://localhost/whatever.snapshot", 400, absent),
        (f"file://{tmp_path}/x.snapshot", 400, absent),
        (f"file://{tmp_path}/store/snapshots/../../x.snapshot", 400, absent),
        ("http://127.0.0.1/x.snapshot", 501, "fetches nothing"),
        ("x.snapshot", 400, "Invalid snapshot URI"),
    ):
        answer = rest.error("PUT", f"{SNAPSHOTS}/recover", {"location": location})
        assert (answer[0], words in answer[1]) == (status, True), answer
    made = rest.result("POST", SNAPSHOTS)
    location = f"file://{tmp_path}/store/snapshots/c/{made['name']}"
    answer = rest.error("PUT", f"{SNAPSHOTS}/recover", {"location": location, "checksum": "0" * 64})
    assert answer == (400, "Bad request: Snapshot checksum mismatch")
    for name in ("..%2F..%2Flock", "%2Fetc%2Fpasswd", "x.snapshot", made["name"].replace(".snapshot", ".checksum")):
        assert rest.error("GET", f"{SNAPSHOTS}/{name}")[0] == 404


@pytest.mark.parametrize("form", [b"", b"x", b"--b\r\n", b"--b\r\n\r\nx\r\n--b--", b"--b\r\nname=\r\n\r\nx\r\n--b\r\n"])
def test_an_upload_is_a_form_with_one_file(rest: Rest, form: bytes) -> None:
    assert rest.store.rest("POST", f"{SNAPSHOTS}/upload", "", form)[0] == 400


def test_grpc_makes_lists_and_deletes_snapshots(store: EmbeddedStore) -> None:
    created: Any = store.grpc("/qdrant.Snapshots/Create", grpc.CreateSnapshotRequest(collection_name="c"))
    listed: Any = store.grpc("/qdrant.Snapshots/List", grpc.ListSnapshotsRequest(collection_name="c"))
    assert list(listed.snapshot_descriptions) == [created.snapshot_description]
    name = created.snapshot_description.name
    store.grpc("/qdrant.Snapshots/Delete", grpc.DeleteSnapshotRequest(collection_name="c", snapshot_name=name))
    listed = store.grpc("/qdrant.Snapshots/List", grpc.ListSnapshotsRequest(collection_name="c"))
    assert not listed.snapshot_descriptions
