"""Collections as folders: made, loaded, recovered from a snapshot and deleted, each at one moment."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from serve_app.embedded.edge import shard, snapshots
from serve_app.embedded.edge.collection import FILE, Collection
from serve_app.embedded.edge.folders import check_space, read_json, remove, sync, write_json
from serve_app.embedded.engine.errors import GrpcError

JSON = dict[str, Any]


def create(folder: Path, name: str, configuration: JSON) -> Collection:
    """A new collection in a folder of its own, which counts when its file is there."""
    check_space(folder.parent)
    shard_name = uuid.uuid4().hex
    document: JSON = {"name": name, "config": configuration, "indexes": {}, "shard": shard_name}
    try:
        engine = shard.create(folder / shard_name, configuration)
        write_json(folder / FILE, document)
    except BaseException:
        remove(folder)
        raise
    sync(folder.parent)
    return Collection(folder, document, engine)


def load(folder: Path) -> Collection:
    """The collection of a folder."""
    document = read_json(folder / FILE)
    for left in folder.iterdir():
        if left.is_dir() and left.name != document["shard"]:
            remove(left)  # a crash came before it was used, or after
    return Collection(folder, document, shard.opened(folder / document["shard"], document["config"]))


def recover(folder: Path, name: str, snapshot: Path, old: Collection | None) -> Collection:
    """The collection of a snapshot in a folder of its own; with its file there, the old one counts no more."""
    shard_name = uuid.uuid4().hex
    try:
        given = snapshots.unpack(snapshot, folder / shard_name)
        document: JSON = {
            "name": name,
            "config": given["config"],
            "indexes": given["indexes"],
            "shard": shard_name,
            "operations": max(given["operations"], old.operations if old else 0),
            "replaces": old.folder.name if old else None,
        }
        new = Collection(folder, document, shard.opened(folder / shard_name, document["config"]))
        write_json(folder / FILE, document)
    except GrpcError:
        remove(folder)
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        remove(folder)
        raise snapshots.no_snapshot() from error
    sync(folder.parent)
    return new


def replaced(folder: Path) -> str | None:
    """The name of the folder whose collection this one has taken the place of."""
    name: str | None = read_json(folder / FILE).get("replaces")
    return name


def delete(folder: Path) -> None:
    """First the file, without which there is no collection, then the rest."""
    (folder / FILE).unlink()
    sync(folder)
    remove(folder)


def is_collection(folder: Path) -> bool:
    """Whether the folder holds a collection, and not what a crash has left."""
    return (folder / FILE).exists()
