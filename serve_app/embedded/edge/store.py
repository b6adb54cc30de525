"""All collections of a folder, and their aliases."""

from __future__ import annotations

import tempfile
import threading
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grpc import StatusCode

from deployments.errors import ConfigError
from serve_app.embedded.edge import collection_folders as collections
from serve_app.embedded.edge import config, groups, matrix, reading
from serve_app.embedded.edge.collection import Collection
from serve_app.embedded.edge.folders import lock, read_json, remove, write_json
from serve_app.embedded.edge.queries import Lookup, QueryReader
from serve_app.embedded.edge.reading import Object
from serve_app.embedded.edge.snapshots import Snapshots, check_checksum
from serve_app.embedded.edge.strict_rates import query_cost
from serve_app.embedded.edge.upkeep import Upkeep
from serve_app.embedded.engine.errors import GrpcError, TakesLong, invalid, no_collection, not_found, wrong_input

JSON = dict[str, Any]
MAX_NAME = 255
"""Bytes in a collection's name, as in Qdrant."""
_FEW = 100
"""Queries of a request that others may wait for."""
_FORBIDDEN = frozenset('<>:"/\\|?*\0')
OLD_FORM = "meta.json"
"""The file by which a folder of qdrant-client's local mode is known."""

_create_alias = Object(
    "CreateAlias",
    lambda **given: given,
    {"collection_name": reading.string, "alias_name": reading.string},
    required=("collection_name", "alias_name"),
)
_delete_alias = Object("DeleteAlias", lambda **given: given, {"alias_name": reading.string}, required=("alias_name",))
_rename_alias = Object(
    "RenameAlias",
    lambda **given: given,
    {"old_alias_name": reading.string, "new_alias_name": reading.string},
    required=("old_alias_name", "new_alias_name"),
)
_action: reading.Reader[Any] = reading.variant(
    "AliasOperations",
    {"create_alias": _create_alias, "delete_alias": _delete_alias, "rename_alias": _rename_alias},
)
_ALIASES = Object(
    "ChangeAliasesOperation", lambda actions: actions, {"actions": reading.items(_action)}, required=("actions",)
)

_RECOVER = Object(
    "SnapshotRecover",
    lambda **given: given,
    {
        "location": reading.string,
        "checksum": reading.string,
        "priority": reading.word("no_sync", "snapshot", "replica"),
        "api_key": reading.string,
    },
    required=("location",),
)


def check_form(folder: Path) -> None:
    """Refuse a folder of the store's older form.

    Raises:
        ConfigError: it is one; the text names the folder and the command that moves it.
    """
    if (folder / OLD_FORM).exists():
        command = f"qdrant-inference store migrate --folder {folder}"
        raise ConfigError(f"{folder}: this is a store of an older form; `{command}` moves it to today's")


class EdgeStore:
    """Collections in `folder`, one folder each: an engine (see `engine.protocol`).

    Raises:
        ConfigError: the folder cannot be used; it names the folder.
    """

    def __init__(self, folder: Path) -> None:
        check_form(folder)
        self._lock_file = lock(folder)
        self._folder = folder / "collections"
        self._alias_file = folder / "aliases.json"
        self._snapshots = Snapshots(folder / "snapshots")
        self._changing = threading.RLock()
        try:
            self._folder.mkdir(exist_ok=True)
            self._collections = self._opened()
            self._aliases: dict[str, str] = read_json(self._alias_file) if self._alias_file.exists() else {}
        except BaseException:
            self._lock_file.close()
            raise
        self._upkeep = Upkeep(self.open_collections)

    def _opened(self) -> dict[str, Collection]:
        found = {}
        folders = sorted(self._folder.iterdir())
        gone = {collections.replaced(folder) for folder in folders if collections.is_collection(folder)}
        for folder in folders:
            if collections.is_collection(folder) and folder.name not in gone:
                one = collections.load(folder)
                found[one.name] = one
            else:
                remove(folder)  # a crash has left it
        return found

    def open_collections(self) -> list[Collection]:
        """All collections, for what is done beside requests."""
        return list(self._collections.values())

    def collection(self, name: str) -> Collection:
        """The collection of that name or alias.

        Raises:
            GrpcError: there is none.
        """
        found = self._collections.get(self._aliases.get(name, name))
        if found is None:
            _check_length(name)
            raise no_collection(name)
        return found

    def list_collections(self, _: str, __: None) -> JSON:
        """The names of all collections."""
        return {"collections": [{"name": name} for name in sorted(self._collections)]}

    def get_collection(self, name: str, _: None) -> JSON:
        """Status, size and configuration."""
        return self.collection(name).info()

    def collection_exists(self, name: str, _: None) -> JSON:
        """Whether there is a collection or an alias of that name."""
        return {"exists": self._aliases.get(name, name) in self._collections}

    def create_collection(self, name: str, body: JSON) -> bool:
        """A new collection."""
        _check_name(name)
        configuration = config.created(body)
        with self._changing:
            if name in self._collections:
                raise GrpcError(StatusCode.ALREADY_EXISTS, f"Wrong input: Collection `{name}` already exists!")
            if name in self._aliases:
                raise wrong_input(f"Can't create collection with name {name}. Alias with the same name already exists")
            self._collections[name] = collections.create(self._folder / uuid.uuid4().hex, name, configuration)
        return True

    def update_collection(self, name: str, body: JSON) -> bool:
        """Another configuration."""
        self.collection(name).update(body)
        return True

    def delete_collection(self, name: str, _: None) -> bool:
        """Whether there was such a collection; there is none afterwards, nor an alias of it."""
        with self._changing:
            gone = self._collections.pop(name, None)
            if gone is None:
                return False
            left = {alias: target for alias, target in self._aliases.items() if target != name}
            if left != self._aliases:
                self._save_aliases(left)
            gone.close()
            collections.delete(gone.folder)
        return True

    def update_aliases(self, _: str, body: JSON) -> bool:
        """All changes of aliases, or none."""
        actions = _ALIASES(body, "")
        with self._changing:
            new = dict(self._aliases)
            for number, action in enumerate(actions):
                self._change_alias(new, next(iter(body["actions"][number])), action)
            self._save_aliases(new)
        return True

    def _change_alias(self, aliases: dict[str, str], kind: str, given: JSON) -> None:
        if kind == "create_alias":
            if given["collection_name"] not in self._collections:
                raise no_collection(given["collection_name"])
            self._check_alias(given["alias_name"])
            aliases[given["alias_name"]] = given["collection_name"]
        elif kind == "delete_alias":
            aliases.pop(given["alias_name"], None)
        else:
            if given["old_alias_name"] not in aliases:
                raise not_found(f"Alias {given['old_alias_name']} does not exists!")
            self._check_alias(given["new_alias_name"])
            aliases[given["new_alias_name"]] = aliases.pop(given["old_alias_name"])

    def _check_alias(self, name: str) -> None:
        _check_name(name)
        if name in self._collections:
            raise GrpcError(StatusCode.ALREADY_EXISTS, f"Wrong input: Collection `{name}` already exists!")

    def _save_aliases(self, aliases: dict[str, str]) -> None:
        write_json(self._alias_file, aliases)
        self._aliases = aliases

    def list_aliases(self, _: str, __: None) -> JSON:
        """All aliases."""
        return _alias_list(self._aliases.items())

    def list_collection_aliases(self, name: str, _: None) -> JSON:
        """The aliases of one collection."""
        target = self.collection(name).name
        return _alias_list((alias, other) for alias, other in self._aliases.items() if other == target)

    def create_index(self, name: str, body: JSON) -> JSON:
        """An index of a payload field."""
        return self.collection(name).create_index(body)

    def delete_index(self, name: str, field: str) -> JSON:
        """No index of this field."""
        return self.collection(name).delete_index(field)

    def create_vector_name(self, name: str, body: tuple[str, JSON]) -> JSON:
        """A new vector name, which no point has a vector for yet."""
        return self.collection(name).create_vector_name(*body)

    def delete_vector_name(self, name: str, vector_name: str) -> JSON:
        """A vector name and all its vectors, gone."""
        return self.collection(name).delete_vector_name(vector_name)

    def update_points(self, name: str, body: Sequence[Mapping[str, Any]], *, tells_refusals: bool = True) -> list[JSON]:
        """All writes of points, one after the other."""
        return self.collection(name).write(body, tells_refusals=tells_refusals)

    def get_point(self, name: str, number: str) -> JSON:
        """The point with this id."""
        return self.collection(name).get_point(number)

    def retrieve(self, name: str, body: JSON) -> list[JSON]:
        """The points with these ids, as far as there are any."""
        return self.collection(name).retrieve(body)

    def scroll(self, name: str, body: JSON) -> JSON:
        """A page of points."""
        return self.collection(name).scroll(body)

    def count(self, name: str, body: JSON) -> JSON:
        """How many points pass a filter."""
        return self.collection(name).count(body)

    def facet(self, name: str, body: JSON) -> JSON:
        """The values of a payload field, with how many points have each."""
        return self.collection(name).facet(body)

    def query_batch(self, name: str, body: Sequence[JSON]) -> list[JSON]:
        """The answers of several queries; all are read before the first is answered."""
        target = self.collection(name)
        reader = self._reader(target)
        requests = [reader.request(one) for one in body]
        target.strict_mode().check_queries(body)
        target.check_scoring(body)
        if len(body) > _FEW and reading.others_wait():
            raise TakesLong
        affordable = [target.affordable(one) for one in body]
        target.pay_for_reading(lambda: sum(map(query_cost, body)))
        requests = [
            request if new is old else reader.request(new)
            for request, new, old in zip(requests, affordable, body, strict=True)
        ]
        return [{"points": points} for points in target.query_many(requests)]

    def query_groups(self, name: str, body: JSON) -> JSON:
        """The answer of one query, in groups of equal payload values."""
        target = self.collection(name)
        return groups.query_groups(target, self._reader(target), body, self._looked_up)

    def _looked_up(self, name: str) -> Collection:
        found = self._collections.get(self._aliases.get(name, name))
        if found is None:
            raise not_found(f"Collection {name} not found")
        return found

    def _reader(self, target: Collection) -> QueryReader:
        def fetch(lookup: Lookup | None, using: str, number: int | str) -> Any:
            if lookup is None:
                return target.vector(number, using)
            name = lookup.vector if lookup.vector is not None else using
            return self._looked_up(lookup.collection).vector(number, name)

        return QueryReader(target.name, target.kinds, fetch, self._looked_up)

    def matrix_pairs(self, name: str, body: JSON) -> JSON:
        """Distances within a sample of points, as pairs."""
        return matrix.pairs(self.collection(name), body)

    def matrix_offsets(self, name: str, body: JSON) -> JSON:
        """Distances within a sample of points, as a sparse matrix."""
        return matrix.offsets(self.collection(name), body)

    def create_snapshot(self, name: str, _: None) -> JSON:
        """All of a collection in a file."""
        return self.collection(name).snapshot(self._snapshots)

    def list_snapshots(self, name: str, _: None) -> list[JSON]:
        """The snapshots of a collection."""
        return self._snapshots.described(self.collection(name).name)

    def delete_snapshot(self, name: str, snapshot: str) -> bool:
        """No snapshot of this name."""
        self._snapshots.delete(self.collection(name).name, snapshot)
        return True

    def snapshot_file(self, name: str, snapshot: str) -> Path:
        """The file of a snapshot."""
        return self._snapshots.path(self.collection(name).name, snapshot)

    def recover_snapshot(self, name: str, body: JSON) -> bool:
        """The collection as a snapshot among those of this store has it."""
        given = _RECOVER(body, "")
        return self._recover(name, self._snapshots.located(given["location"]), given.get("checksum"))

    def upload_snapshot(self, name: str, body: tuple[bytes, str | None]) -> bool:
        """The collection as a snapshot has it that a caller brings."""
        content, expected = body
        self._snapshots.uploads.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._snapshots.uploads) as file:
            file.write(content)
            file.flush()
            return self._recover(name, Path(file.name), expected)

    def _recover(self, name: str, snapshot: Path, expected: str | None) -> bool:
        target = self._aliases.get(name, name)
        _check_name(target)
        check_checksum(snapshot, expected)
        with self._changing:
            old = self._collections.get(target)
            new = collections.recover(self._folder / uuid.uuid4().hex, target, snapshot, old)
            self._collections[target] = new
            if old is not None:
                old.close()
                collections.delete(old.folder)
        return True

    def check_timeout(self, name: str, seconds: int) -> None:
        """Refuse a timeout that the collection's strict mode does not allow."""
        found = self._collections.get(self._aliases.get(name, name))
        if found is not None:
            found.strict_mode().check_timeout(seconds)

    def close(self) -> None:
        """Bring everything to the disk and give the folder free."""
        self._upkeep.stop()
        with self._changing:
            for one in self._collections.values():
                one.close()
            self._lock_file.close()


def _alias_list(aliases: Any) -> JSON:
    return {"aliases": [{"alias_name": alias, "collection_name": target} for alias, target in aliases]}


def _check_length(name: str) -> None:
    if not name or len(name.encode()) > MAX_NAME:
        raise invalid("collection_name", f"Validation error: a name has 1 to {MAX_NAME} bytes")


def _check_name(name: str) -> None:
    _check_length(name)
    if _FORBIDDEN & set(name) or name in {".", ".."}:
        raise invalid("collection_name", "Validation error: collection name contains a forbidden character")
