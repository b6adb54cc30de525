"""The tables of the ledger's database. A change here needs a migration beside it (`migrations/versions`)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text

METADATA = MetaData()

USAGE = Table(
    "usage",
    METADATA,
    Column("tenant", String, primary_key=True),
    Column("model", String, primary_key=True),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("operation", String, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("objects", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("whole_requests", BigInteger, nullable=False, server_default="0"),
    Index("usage_by_hour", "hour"),
)
"""What was used in each hour (since 1970, UTC). The figures are those of `counts.Count`."""

OFF = Table(
    "switched_off",
    METADATA,
    Column("scope", String, primary_key=True),
    Column("name", String, primary_key=True),
)
"""What is off: scope `all`, `model` or `collection`, and its name."""

REPLICAS = Table(
    "replicas",
    METADATA,
    Column("id", String, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
    Column("told", Text, key="snapshot", nullable=False),
)
"""Ingress replicas: the number of the last request that was taken in, when (since 1970), and its snapshot for the
others."""

ADDED = Table(
    "added_models",
    METADATA,
    Column("name", String, primary_key=True),
    Column("content", Text, nullable=False),
    Column("owner", String, nullable=False),
    Column("at", Float, nullable=False),
)
"""Models that were added while the service ran: the rows of `additions.Row`."""
