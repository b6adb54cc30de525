"""What a Qdrant server has and the embedded store does not: answered with 501 in Qdrant's shape."""

from __future__ import annotations

NOT_HERE = (
    ("/cluster/.+", "a cluster"),
    ("/collections/[^/]+/cluster", "a cluster"),
    ("/collections/[^/]+/optimizations", "optimizations"),
    ("/collections/[^/]+/shards", "shards and their snapshots"),
    ("/issues", "issues"),
    ("/metrics", "metrics"),
    ("/quotas", "quotas"),
    ("/snapshots", "snapshots of all collections at once"),
    ("/telemetry", "telemetry"),
)
"""Where Qdrant's routes begin that are not supported, and what they are about."""
