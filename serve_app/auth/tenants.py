"""Tenants: callers with names and keys of their own, from the file that QDRANT_INFERENCE_TENANTS names.

The file holds no key, only the SHA-256 of each.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pydantic import ConfigDict, Field, field_validator, model_validator

from deployments.catalogue.card import Sha256
from deployments.catalogue.providers import KeyName, Variable
from deployments.catalogue.records import Record, from_file
from serve_app.auth.jwt import Global
from serve_app.ledger.counts import NO_NAMES
from serve_app.ledger.quotas import Quota


class Tenant(Record):
    """One tenant: the SHA-256 of each of its keys in hexadecimal, and what they allow in all collections.

    `quotas` by a model's name, or `*` for each model that is not named. `provider_keys`: the variables with this
    tenant's keys for external providers, by the key's name, such as `openai-api-key`.
    """

    name: str
    access: Global = "m"
    keys: tuple[Sha256, ...] = Field(min_length=1)
    quotas: Mapping[str, Quota] = {}
    provider_keys: Mapping[KeyName, Variable] = {}

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if name in NO_NAMES:
            raise ValueError("the usage of several callers is counted under this name; choose another")
        return name


class _TenantsFile(Record):
    # Somebody may have written down a key where its hash should be.
    model_config = ConfigDict(hide_input_in_errors=True)

    tenants: tuple[Tenant, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _no_empty_key(self) -> _TenantsFile:
        for tenant in self.tenants:
            if digest(b"") in tenant.keys:
                raise ValueError(f"a key of the tenant '{tenant.name}' is the SHA-256 of an empty key")
        return self

    @model_validator(mode="after")
    def _each_once(self) -> _TenantsFile:
        for what, values in (
            ("name", [tenant.name for tenant in self.tenants]),
            ("key", [key for tenant in self.tenants for key in tenant.keys]),
        ):
            value, times = Counter(values).most_common(1)[0]
            if times > 1:
                raise ValueError(f"the {what} '{value}' is there {times} times")
        return self


def load(path: Path) -> Mapping[str, Tenant]:
    """The tenants of a file by the digests of their keys (see `digest`).

    Raises:
        ConfigError: names the file, the key, and what was expected there.
    """
    return {key: tenant for tenant in from_file(_TenantsFile, path).tenants for key in tenant.keys}


def digest(key: bytes) -> str:
    """The SHA-256 of a key in hexadecimal."""
    return hashlib.sha256(key).hexdigest()
