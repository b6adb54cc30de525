"""Models that were added while the service ran."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "added_models",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
