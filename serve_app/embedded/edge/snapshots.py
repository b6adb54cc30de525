"""Snapshots: a collection's folder in one file, and the way back.

A file is a tar of `collection.json` and of the shard's folder under `shard/`, as the engine's own snapshots of shards
have it. It is a snapshot of this store: a server's has other files around its shards.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson

from serve_app.embedded.edge.folders import check_space, contents, remove
from serve_app.embedded.engine.errors import GrpcError, bad_request, not_found, not_supported

JSON = dict[str, Any]
_SUFFIX, _CHECKSUM, _PART = ".snapshot", ".checksum", ".part"
_DOCUMENT, _SHARD = "collection.json", "shard"
_MAX_DOCUMENT = 16 * 1024 * 1024


def no_snapshot() -> GrpcError:
    """The file is something else."""
    return bad_request("the file is not a snapshot of an embedded store")


class Snapshots:
    """The snapshots of all collections, in a folder for each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.uploads = folder.with_name("uploads")
        remove(self.uploads)  # what a crash has left, as the parts are
        for part in folder.glob(f"*/*{_PART}"):
            part.unlink()

    def path(self, collection: str, name: str) -> Path:
        """The file of a snapshot.

        Raises:
            GrpcError: there is none of this name.
        """
        path = self._folder / collection / name
        if Path(name).name != name or path.suffix != _SUFFIX or not path.is_file():
            raise not_found(f"Snapshot {name} not found")
        return path

    def described(self, collection: str) -> list[JSON]:
        """All snapshots of a collection, from the oldest on."""
        return [_description(path) for path in sorted((self._folder / collection).glob(f"*{_SUFFIX}"))]

    def create(self, collection: str, shard: Path, document: Mapping[str, Any]) -> JSON:
        """A new snapshot of a shard's folder, to which nobody writes meanwhile."""
        folder = self._folder / collection
        folder.mkdir(parents=True, exist_ok=True)
        check_space(folder, _size(shard))
        now = time.time()
        moment = time.strftime("%Y-%m-%d-%H-%M-%S", time.gmtime(now))
        made = folder / f"{collection}-{int(now * 1e6)}-{moment}{_SUFFIX}"
        part = made.with_suffix(_PART)
        try:
            with tarfile.open(part, "w") as archive:
                content = orjson.dumps(document)
                info = tarfile.TarInfo(_DOCUMENT)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
                for path in (shard, *contents(shard)):
                    archive.add(path, str(Path(_SHARD, path.relative_to(shard))), recursive=False)
            made.with_suffix(_CHECKSUM).write_text(checksum(part))
            part.replace(made)
        finally:
            part.unlink(missing_ok=True)
        return _description(made)

    def delete(self, collection: str, name: str) -> None:
        """No snapshot of this name."""
        path = self.path(collection, name)
        path.unlink()
        path.with_suffix(_CHECKSUM).unlink(missing_ok=True)

    def located(self, location: str) -> Path:
        """The file of a `file:` URL.

        Raises:
            GrpcError: it is another URL, or there is no such file among the snapshots.
        """
        url = urlsplit(location)
        if url.scheme in {"http", "https"}:
            raise not_supported("recovery from a URL (it fetches nothing; upload the file)")
        if url.scheme != "file" or url.netloc not in {"", "localhost"} or not url.path.startswith("/"):
            raise bad_request("Invalid snapshot URI, file path must be absolute or on localhost")
        path = Path(unquote(url.path)).resolve()
        if self._folder.resolve() not in path.parents or not path.is_file():
            raise bad_request(f'Snapshot file "{unquote(url.path)}" does not exist')
        return path


def _description(path: Path) -> JSON:
    stat, sums = path.stat(), path.with_suffix(_CHECKSUM)
    return {
        "name": path.name,
        "creation_time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(stat.st_mtime)),
        "size": stat.st_size,
        "checksum": sums.read_text() if sums.is_file() else None,
    }


def _size(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in contents(folder) if path.is_file())


def checksum(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_checksum(path: Path, expected: str | None) -> None:
    """Refuse a file that is not the one that is meant."""
    if expected is not None and checksum(path) != expected.lower():
        raise bad_request("Snapshot checksum mismatch")


def unpack(path: Path, shard: Path) -> JSON:
    """Put a snapshot's shard into a folder; what the snapshot says of the collection."""
    try:
        with tarfile.open(path, "r:") as archive:
            members = archive.getmembers()
            check_space(shard.parent.parent, sum(member.size for member in members))
            document: JSON = orjson.loads(_document(archive))
            for member in members:
                _extract(archive, member, shard)
    except (tarfile.TarError, orjson.JSONDecodeError, KeyError) as error:
        raise no_snapshot() from error
    return document


def _document(archive: tarfile.TarFile) -> bytes:
    member = archive.getmember(_DOCUMENT)
    file = archive.extractfile(member) if member.size <= _MAX_DOCUMENT else None
    if file is None:
        raise no_snapshot()
    return file.read()


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, shard: Path) -> None:
    """Files and folders under `shard/`, and nothing else."""
    parts = Path(member.name).parts
    if parts[:1] != (_SHARD,) or not (member.isreg() or member.isdir()):
        return
    member = (
        member.replace(name=str(Path(*parts[1:])), deep=False) if parts[1:] else member.replace(name=".", deep=False)
    )
    archive.extract(member, shard, filter="data")
