"""The rows of added models in the ledger's database."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Executable, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from serve_app.ledger.additions import Added, Change, Claimed, Row, Told
from serve_app.ledger.tables import ADDED

_ALL = select(ADDED).order_by(ADDED.c.name)


def read(connection: Connection) -> Sequence[Row]:
    """All rows, in the order of their names."""
    return [Row(*row) for row in connection.execute(_ALL)]


def change(connection: Connection, wanted: Change) -> bool:
    """Make a change, if it can be made; whether it was."""
    try:
        with connection.begin_nested():
            return bool(connection.execute(_statement(wanted)).rowcount)
    except IntegrityError:  # there is a row of that name
        return False


def _statement(wanted: Change) -> Executable:
    if isinstance(wanted, Added):
        return insert(ADDED).values(wanted.row._asdict())
    if isinstance(wanted, Told):
        mine = ADDED.c.name == wanted.row.name, ADDED.c.owner == wanted.row.owner
        return update(ADDED).where(*mine).values(wanted.row._asdict())
    if isinstance(wanted, Claimed):
        silent = ADDED.c.name == wanted.name, ADDED.c.at < wanted.before
        return update(ADDED).where(*silent).values(owner=wanted.owner, at=wanted.at)
    return delete(ADDED).where(ADDED.c.name == wanted.name)
