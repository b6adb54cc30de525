"""Moves a folder of qdrant-client's local mode, which was the embedded store before, to today's form."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from deployments.errors import ConfigError
from serve_app.embedded.edge.folders import read_json
from serve_app.embedded.edge.store import OLD_FORM, EdgeStore

_PAGE = 256


def migrate(folder: Path, report: Callable[[str, int], None]) -> Path:
    """Read all that the folder holds into a new store, which takes its place; the old one is kept beside it.

    `report` is told each collection's name and number of points when it is done. Gives where the old store is.

    Raises:
        ConfigError: there is no old store here, another process has it, or something of a former attempt is in the way.
    """
    if not (folder / OLD_FORM).exists():
        raise ConfigError(f"{folder}: there is no store of the older form here")
    new, old = (folder.with_name(f"{folder.name}.{ending}") for ending in ("new", "old"))
    for place in (new, old):
        if place.exists():
            raise ConfigError(f"{place}: is in the way; move it elsewhere")
    _copied(folder, new, report)
    _move_the_rest(folder, new)
    folder.rename(old)
    new.rename(folder)
    return old


def _copied(folder: Path, new: Path, report: Callable[[str, int], None]) -> None:
    from qdrant_client import QdrantClient  # noqa: PLC0415  nothing else needs it

    meta = read_json(folder / OLD_FORM)
    store = EdgeStore(new)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # hints for programs that hold local mode themselves
            client = QdrantClient(path=str(folder))
        for name, config in meta["collections"].items():
            known = ("vectors", "sparse_vectors", "metadata")
            store.create_collection(name, _plain({field: config.get(field) for field in known}))
            count = 0
            for page in _pages(client, name):
                store.update_points(name, [{"upsert": {"points": page}}])
                count += len(page)
            report(name, count)
        actions = [
            {"create_alias": {"alias_name": alias, "collection_name": name}} for alias, name in meta["aliases"].items()
        ]
        store.update_aliases("", {"actions": actions})
        client.close()
    except RuntimeError as error:
        raise ConfigError(f"{folder}: another process has this embedded store open") from error
    finally:
        store.close()


def _plain(value: Any) -> Any:
    """JSON without what has no value."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items() if inner is not None}
    return value


def _pages(client: Any, name: str) -> Iterator[list[dict[str, Any]]]:
    offset = None
    while True:
        found, offset = client.scroll(name, limit=_PAGE, offset=offset, with_payload=True, with_vectors=True)
        if found:
            yield [_point(record.model_dump(mode="json", exclude_none=True), record.payload) for record in found]
        if offset is None:
            return


def _point(record: dict[str, Any], payload: dict[str, Any] | None) -> dict[str, Any]:
    return {"id": record["id"], "vector": record.get("vector", {}), "payload": payload or {}}


_OF_THE_STORE = frozenset((OLD_FORM, "collection", ".lock"))


def _move_the_rest(folder: Path, new: Path) -> None:
    """What else lies in the folder, the ledger for example, goes along."""
    for path in folder.iterdir():
        if path.name not in _OF_THE_STORE:
            path.rename(new / path.name)
