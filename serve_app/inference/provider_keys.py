"""Callers' keys for external providers: where they come from, and who may use whose.

A key is a `SecretStr` from the moment it is read. It stands in no log, no error, no name of a queue, and goes nowhere
but to its provider.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from deployments.catalogue.card import ModelCard
from deployments.catalogue.providers import is_key
from deployments.contract import ProviderKey
from deployments.errors import BadOption, Forbidden

_KEY = re.compile(r"[!-~]{1,1024}")
_SALT = secrets.token_bytes(16)

EVERYBODY = "*"


def may_have(names: Iterable[bytes]) -> bool:
    """Whether there could be keys among headers of these names, told in one go."""
    return b"-api-key" in b" ".join(names)


def of_headers(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[str, SecretStr]:
    """The keys among a request's headers, by name."""
    pairs = [(name.decode("latin-1").lower(), value) for name, value in headers if name.endswith(b"-api-key")]
    return {name: SecretStr(value.decode("latin-1")) for name, value in pairs if is_key(name)}


def without_keys(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """An object's options without keys, and the keys."""
    own = {name: value for name, value in options.items() if not is_key(name.lower())}
    return own, {name: value for name, value in options.items() if name not in own}


@dataclass(frozen=True)
class OperatorKeys:
    """Keys of the operator's environment: who may use those that the configuration names, and tenants' own.

    `tenants`: the variables of a tenant's keys by the key's name. `open_to`: tenants, or `*` for everybody.
    """

    tenants: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    open_to: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class KeyRing:
    """The keys that the caller of a request may use; `headers` are those that came with it."""

    headers: Mapping[str, SecretStr] = field(default_factory=dict, repr=False)
    tenant: str | None = None
    operator: OperatorKeys = field(default_factory=OperatorKeys)

    def key(self, card: ModelCard, given: Mapping[str, Any], where: str) -> ProviderKey | None:
        """The key for a model of an external provider; None if it needs none. `given` are those in the options.

        Raises:
            BadOption: there is none, or what is there is no key.
            Forbidden: there is the operator's, which is not for this caller.
        """
        provider = card.provider
        if provider is None:
            return None
        name = provider.key_name
        if name is not None:
            if name in given:
                return ProviderKey("request", _checked(given[name], f"{where}.options.{name}"))
            if name in self.headers:
                return ProviderKey("request", _checked(self.headers[name].get_secret_value(), f"the header {name}"))
            variable = self.operator.tenants.get(self.tenant or "", {}).get(name)
            if variable:
                return ProviderKey("tenant", variable=variable)
        if provider.key_env and not self.operator.open_to.isdisjoint({EVERYBODY, self.tenant}):
            return ProviderKey("operator", variable=provider.key_env)
        if name is None and provider.key_env is None:
            return None
        bring = f"; bring one of your own in the option or header '{name}'" if name else ""
        if provider.key_env:
            raise Forbidden(f"{where}: the operator's key for {card.name} is not for this caller{bring}")
        raise BadOption(f"{where}: {card.name} needs a key{bring}")


NO_KEYS = KeyRing()


def _checked(key: Any, where: str) -> SecretStr:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise BadOption(f"{where}: expected a key, of visible ASCII characters")
    return SecretStr(key)


def digest(key: ProviderKey | None) -> bytes:
    """What tells keys apart and shows none of them; it differs from process to process."""
    if key is None:
        return b""
    text = key.secret.get_secret_value() if key.secret else f"\0{key.variable}"
    return hashlib.blake2b(text.encode(), key=_SALT, digest_size=16).digest()
