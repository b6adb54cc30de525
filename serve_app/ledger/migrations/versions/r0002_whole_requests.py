"""Requests with several models count once in sums over models.

What was counted before keeps its sums. Replicas of the version before this one count no whole requests.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column."""
    op.add_column("usage", sa.Column("whole_requests", sa.BigInteger, nullable=False, server_default="0"))
    op.execute("UPDATE usage SET whole_requests = requests")
