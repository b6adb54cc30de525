"""Alembic runs this for every command; `migration.py` hands the connection over, with its transaction."""

from __future__ import annotations

from alembic import context

from serve_app.ledger.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
