"""Brings the database's schema up to date, by Alembic. Replicas that start at the same time wait for one another."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from deployments.errors import LedgerUnavailable

HEAD = "0003"
"""The newest of `migrations/versions`. Migrations only add: older replicas go on working beside newer ones."""

_FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x716C6564676572
"""A number that nobody else uses for PostgreSQL's advisory locks."""


def upgrade(engine: Engine) -> None:
    """Migrate where the schema is older than this code.

    Raises:
        SQLAlchemyError: as the database says.
        LedgerUnavailable: the schema's version is none of ours.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if _version(connection) < HEAD:
            _run(connection)


def _version(connection: Connection) -> str:
    """The schema's version; they sort by age, and none comes before all."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")


def _run(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415  only a new or an old database needs it
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, HEAD)
    except CommandError as error:
        raise LedgerUnavailable(
            "the ledger's database has a schema that cannot be migrated; usage is kept in memory meanwhile"
        ) from error
