"""The ledger's database, SQLite or PostgreSQL. Every call here blocks: it belongs into a `DatabaseThread`.

SQLAlchemy takes half a second to import; so this module is imported in that thread, too.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Executable, bindparam, delete, event, func, make_url, select
from sqlalchemy import create_engine as sqlalchemy_engine
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from deployments.errors import LedgerUnavailable
from serve_app.ledger import added_rows, migration
from serve_app.ledger.additions import Change, Row
from serve_app.ledger.counts import Count
from serve_app.ledger.quotas import Spender
from serve_app.ledger.switches import SwitchChange, Switches
from serve_app.ledger.sync import SyncRequest, SyncResponse
from serve_app.ledger.tables import OFF, REPLICAS, USAGE

PATIENCE_S = 3
"""How long a call waits for a lock or a server."""

ALIVE_S = 15.0
"""A replica that has not been in step for so long is gone."""

_FORGOTTEN_S = 7 * 24 * 3600.0
_UPSERTS: Mapping[str, Callable[..., Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

# What is asked more than once a second is put together once.
_SWITCHES = select(OFF.c.scope, OFF.c.name)
_OTHERS = select(REPLICAS.c.snapshot).where(REPLICAS.c.id != bindparam("replica"), REPLICAS.c.at > bindparam("since"))
_SPENT = (
    select(USAGE.c.tenant, USAGE.c.model, func.sum(USAGE.c.tokens))
    .where(USAGE.c.tenant.in_(bindparam("tenants", expanding=True)), USAGE.c.hour >= bindparam("month"))
    .group_by(USAGE.c.tenant, USAGE.c.model)
)


class Database:
    """The database behind a URL; connects, and migrates if it has to, with the first call.

    Raises (every method):
        LedgerUnavailable: it cannot be reached, or does not do what it should.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self._insert = _UPSERTS[self._engine.dialect.name]
        self._note, self._count = _note(self._insert), _count(self._insert)
        self._migrated = False

    def sync(self, request: SyncRequest, month: int, tenants: Collection[str]) -> SyncResponse:
        """Take in a request, once; `spent` is that of these tenants in the month that begins with this hour."""
        with self._transaction() as connection:
            if self._is_new(connection, request):
                self._add(connection, request)
            return _response(connection, request, month, tenants)

    def pull(self, request: SyncRequest, month: int, tenants: Collection[str]) -> SyncResponse:
        """The response alone: nothing is written."""
        with self._reading() as connection:
            return _response(connection, request, month, tenants)

    def switch(self, change: SwitchChange) -> Switches:
        """Set switches; all of them as they are then."""
        wanted = [("model", name, on) for name, on in change.models.items()]
        wanted += [("collection", name, on) for name, on in change.collections.items()]
        if change.inference is not None:
            wanted.append(("all", "", change.inference))
        with self._transaction() as connection:
            for scope, name, on in wanted:
                if on:
                    connection.execute(delete(OFF).where(OFF.c.scope == scope, OFF.c.name == name))
                else:
                    statement = self._insert(OFF).values(scope=scope, name=name)
                    connection.execute(statement.on_conflict_do_nothing())
            return _switches(connection)

    def change_added(self, change: Change) -> tuple[bool, Sequence[Row]]:
        """Whether a change of the added models was made, and all of them as they are then."""
        with self._transaction() as connection:
            return added_rows.change(connection, change), added_rows.read(connection)

    def usage(self, first: int, end: int, tenant: str | None, columns: Sequence[str]) -> list[dict[str, Any]]:
        """Sums from the hour `first` to before `end`, by model, hour or day, and these columns; of one tenant or all.

        Rows have `model`, `hour`, the columns, and the figures of a `Count`.
        """
        keys = [USAGE.c.model, USAGE.c.hour, *(USAGE.c[name] for name in columns)]
        sums = [func.sum(USAGE.c[name]).label(name) for name in Count._fields]
        query = select(*keys, *sums).where(USAGE.c.hour >= first, USAGE.c.hour < end).group_by(*keys).order_by(*keys)
        if tenant is not None:
            query = query.where(USAGE.c.tenant == tenant)
        with self._reading() as connection:
            # PostgreSQL's sums of large integers are decimals.
            return [
                {**row, **{name: int(row[name]) for name in Count._fields}}
                for row in connection.execute(query).mappings()
            ]

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    def _is_new(self, connection: Connection, request: SyncRequest) -> bool:
        """Note a request's number. Two transactions with the same one wait for each other here."""
        told = {
            "id": request.replica,
            "sequence": request.sequence,
            "at": request.at,
            "snapshot": json.dumps(request.snapshot),
        }
        return connection.execute(self._note, told).first() is not None

    def _add(self, connection: Connection, request: SyncRequest) -> None:
        # In the same order everywhere: two replicas never wait for each other's rows.
        rows = [{**key._asdict(), **count._asdict()} for key, count in sorted(request.counts)]
        if rows:
            connection.execute(self._count, rows)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with _translated():
            if not self._migrated:
                migration.upgrade(self._engine)
                with self._engine.begin() as connection:
                    newest = select(func.max(REPLICAS.c.at)).scalar_subquery()
                    connection.execute(delete(REPLICAS).where(REPLICAS.c.at < newest - _FORGOTTEN_S))
                self._migrated = True
            with self._engine.begin() as connection:
                yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        if not self._migrated:
            with self._transaction():
                pass
        with _translated(), self._engine.connect().execution_options(reads=True) as connection:
            yield connection


def _note(insert: Callable[..., Any]) -> Executable:
    """Notes a replica's number and snapshot; gives a row if the number is a new one."""
    statement = insert(REPLICAS)
    columns = {name: statement.excluded[name] for name in ("sequence", "at", "snapshot")}
    is_newer = REPLICAS.c.sequence < statement.excluded.sequence
    noted = statement.on_conflict_do_update(index_elements=["id"], set_=columns, where=is_newer)
    executable: Executable = noted.returning(REPLICAS.c.sequence)
    return executable


def _count(insert: Callable[..., Any]) -> Executable:
    """Adds rows of usage to those that are there."""
    statement = insert(USAGE)
    sums = {name: USAGE.c[name] + statement.excluded[name] for name in Count._fields}
    keys = [column.name for column in USAGE.primary_key]
    executable: Executable = statement.on_conflict_do_update(index_elements=keys, set_=sums)
    return executable


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        raise LedgerUnavailable(
            "the ledger's database cannot be reached; usage is kept in memory meanwhile", retry_after=PATIENCE_S
        ) from error


def _switches(connection: Connection) -> Switches:
    off: dict[str, set[str]] = {"all": set(), "model": set(), "collection": set()}
    for scope, name in connection.execute(_SWITCHES):
        off[scope].add(name)
    return Switches(all_off=bool(off["all"]), models=frozenset(off["model"]), collections=frozenset(off["collection"]))


def _response(connection: Connection, request: SyncRequest, month: int, tenants: Collection[str]) -> SyncResponse:
    spent = _spent(connection, month, tenants) if tenants else {}
    return SyncResponse(_switches(connection), _others(connection, request), spent, added=added_rows.read(connection))


def _others(connection: Connection, request: SyncRequest) -> list[Mapping[str, Any]]:
    rows = connection.execute(_OTHERS, {"replica": request.replica, "since": request.at - ALIVE_S})
    return [json.loads(snapshot) for (snapshot,) in rows]


def _spent(connection: Connection, month: int, tenants: Collection[str]) -> dict[Spender, int]:
    rows = connection.execute(_SPENT, {"tenants": sorted(tenants), "month": month})
    return {(tenant, model): int(tokens) for tenant, model, tokens in rows}


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        # A machine that is gone is noticed, too; a server that hangs on one that answers is for `DatabaseThread`.
        waits = {
            "connect_timeout": PATIENCE_S,
            "tcp_user_timeout": PATIENCE_S * 1000,
            "keepalives_idle": PATIENCE_S,
            "keepalives_interval": 1,
            "keepalives_count": PATIENCE_S,
        }
        options = f"-c statement_timeout={PATIENCE_S * 1000} -c lock_timeout={PATIENCE_S * 1000}"
        return sqlalchemy_engine(
            parsed.set(drivername="postgresql+psycopg"),
            connect_args={**waits, "options": options},
            pool_size=1,
            pool_pre_ping=True,
        )
    engine = sqlalchemy_engine(parsed, connect_args={"timeout": PATIENCE_S})
    event.listen(engine, "connect", _on_sqlite_connect)
    event.listen(engine, "begin", _on_sqlite_begin)
    return engine


def _on_sqlite_connect(connection: Any, _record: Any) -> None:
    """Readers and a writer do not wait for each other (WAL), and Python's module begins no transactions of its own."""
    connection.isolation_level = None
    _keep_a_log(connection)
    # What a power cut may cost is the last second, as with a killed replica; the file stays whole.
    connection.execute("PRAGMA synchronous=NORMAL")


def _keep_a_log(connection: sqlite3.Connection) -> None:
    """Turn to WAL. Where several do so with a new file, SQLite refuses some of them at once, whatever their timeout."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _on_sqlite_begin(connection: Connection) -> None:
    """A transaction that will write takes the lock at its start, where waiting for it is possible."""
    reads = connection.get_execution_options().get("reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
