"""The settings of the deployment `Providers`: its `user_config` in the Serve config file."""

from __future__ import annotations

from pydantic import Field

from deployments.catalogue.records import Record


class ProvidersSettings(Record):
    """How external providers are called. A change needs no restart."""

    timeout_s: float = Field(default=30.0, gt=0, description="of a call, all its tries together")
    connect_timeout_s: float = Field(default=5.0, gt=0, description="until a connection is there")
    tries: int = Field(default=3, ge=1, le=10, description="of a call that may pass when it is sent again")
    connections: int = Field(default=32, ge=1, description="to a host at the same time")
    calls: int = Field(default=256, ge=1, description="to a host under way and waiting, before the next one is 429")
    failures: int = Field(default=5, ge=1, description="in a row, after which a provider is not asked for a while")
    pause_s: float = Field(default=10.0, gt=0, description="that while; after it one call tries")
