"""Who may come in, and what they may do there: Qdrant's API keys and tokens, and tenants.

Qdrant itself sees the caller's credential too and has the last word; the embedded store knows no credentials, so what
is let in here is all that it asks.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import SecretStr

from deployments.errors import Forbidden, Unauthenticated
from serve_app.auth import jwt, tenants
from serve_app.auth.jwt import Global, Level
from serve_app.auth.permissions import Permission
from serve_app.config.environment import Environment
from serve_app.ledger.counts import NO_NAMES
from serve_app.protocol.messages import Headers, Named, named, without

CARRIERS = frozenset({b"api-key", b"authorization"})
"""The headers, and gRPC metadata, in which a credential comes."""

_LEVELS: Mapping[Permission, frozenset[Level]] = {
    Permission.READ: frozenset({"r", "rw", "prw"}),
    Permission.READ_EXTRAS: frozenset({"r", "rw"}),
    Permission.WRITE: frozenset({"rw", "prw"}),
    Permission.WRITE_EXTRAS: frozenset({"rw"}),
}
_READING = frozenset({Permission.LISTING, Permission.READ_ALL, Permission.READ, Permission.READ_EXTRAS})


@dataclass(frozen=True)
class Access:
    """What a credential allows: something in all collections, or else in those that are named.

    `tenant` is the caller's name, if there is one; `upstream_key` is the key to show to Qdrant instead of a credential
    that only this gateway knows. `if_value_exists`: the credential is good only if Qdrant finds a value, which it alone
    can look up.
    """

    everywhere: Global | None = None
    collections: Mapping[str, Level] = field(default_factory=dict)
    tenant: str | None = None
    upstream_key: bytes | None = field(default=None, repr=False)
    if_value_exists: bool = False

    def check(self, permission: Permission, collection: str) -> None:
        """Let pass what is allowed.

        Raises:
            Forbidden: in Qdrant's words.
        """
        if self.everywhere is None:
            self._check_one(permission, collection)
        elif self.everywhere == "r" and permission not in _READING:
            raise Forbidden("Forbidden: Global manage access is required")

    def _check_one(self, permission: Permission, collection: str) -> None:
        if permission is Permission.LISTING:
            return
        if permission not in _LEVELS:
            raise Forbidden("Forbidden: Global access is required")
        level = self.collections.get(collection)
        if level is None:
            raise Forbidden(f"Forbidden: Access to collection {collection} is required")
        if level not in _LEVELS[permission]:
            raise Forbidden(
                f"Forbidden: Only points access is allowed for collection {collection}"
                if level == "prw"
                else f"Forbidden: Write access to collection {collection} is required"
            )


EVERYTHING = Access("m")
"""Of somebody without a name, who shows Qdrant what was shown here."""

Admins = Literal["open", "key", "none"]
"""Who may change settings: everybody, who has the admin key, or nobody."""


class Authenticator:
    """Knows the keys. Without any, everybody may do everything, as in Qdrant.

    Raises:
        ConfigError: the file of tenants is wrong; names the file, the key, and what was expected there.
    """

    def __init__(self, settings: Environment) -> None:
        self.is_open = not settings.asks_for_a_key
        """Whether no key is asked for."""
        self._key = _bytes(settings.qdrant_api_key)
        self._read_only_key = _bytes(settings.qdrant_read_only_api_key)
        self._admin_key = _bytes(settings.qdrant_inference_admin_key)
        self._takes_tokens = settings.qdrant_jwt_rbac
        self._tenants = tenants.load(settings.qdrant_inference_tenants) if settings.qdrant_inference_tenants else {}
        self.quotas = {tenant.name: tenant.quotas for tenant in self._tenants.values() if tenant.quotas}
        self.provider_keys = {t.name: t.provider_keys for t in self._tenants.values() if t.provider_keys}
        self._store_knows_no_keys = not settings.qdrant_url

    def admit(self, credential: bytes | None, permission: Permission, collection: str = "") -> Access:
        """What a caller may do whose request needs this permission.

        Raises:
            Unauthenticated: there is no credential, or none that is known here.
            Forbidden: it does not allow this, has expired, or has a wrong signature.
        """
        if self.is_open or permission is Permission.NOTHING:
            return EVERYTHING
        access = self.identify(credential)
        if permission is Permission.LISTING and self._store_knows_no_keys:  # it would leave nothing out of its answer
            permission = Permission.READ_ALL
        access.check(permission, collection)
        return access

    def identify(self, credential: bytes | None) -> Access:
        """Whose credential it is; what its access is asked for is not known yet.

        Raises:
            Unauthenticated: there is no credential, or none that is known here.
            Forbidden: it is a token that has expired or has a wrong signature.
        """
        return EVERYTHING if self.is_open else _found(credential, self._of_key, self._of_token)

    @property
    def admins(self) -> Admins:
        """Who may change the console's settings."""
        if self._admin_key:
            return "key"
        return "open" if self.is_open else "none"

    def known(self, credential: bytes | None) -> Access:
        """What a caller may do on routes that this gateway answers by itself.

        Raises:
            Unauthenticated: there is no credential, or none that is known here.
            Forbidden: it is a token with a claim that Qdrant would have to check, which sees nothing of these requests.
        """
        access = self.identify(credential)
        if access.if_value_exists:
            raise Forbidden("Forbidden: only Qdrant checks value_exists, and it does not see requests of this route")
        return access

    def admit_admin(self, credential: bytes | None) -> None:
        """Let pass who may change the console's settings. Where no key is set at all, that is everybody, as in Qdrant.

        Raises:
            Unauthenticated: there is no credential, or none that is known here.
            Forbidden: it is not the admin key.
        """
        if self.admins == "open" or (
            self._admin_key and credential and hmac.compare_digest(self._admin_key, credential)
        ):
            return
        if not self.is_open or credential is None:
            self.known(credential)
        set_it = "" if self._admin_key else ", and none is set: set QDRANT_INFERENCE_ADMIN_KEY"
        raise Forbidden(f"the settings may be changed with the admin key only{set_it}")

    def admit_server(self, credential: bytes | None) -> Access:
        """What a Qdrant server may do that asks for vectors. It shows a key: what is claimed by a token, Qdrant judges.

        Raises:
            Unauthenticated: there is no key, or none that is known here.
        """
        return EVERYTHING if self.is_open else _found(credential, self._of_key)

    def _of_key(self, key: bytes) -> Access | None:
        if self._key and hmac.compare_digest(self._key, key):
            return EVERYTHING
        if self._read_only_key and hmac.compare_digest(self._read_only_key, key):
            return Access("r")
        if self._admin_key and hmac.compare_digest(self._admin_key, key):
            return Access("m", upstream_key=self._key)
        tenant = self._tenants.get(tenants.digest(key))
        if tenant is None:
            return None
        upstream_key = self._read_only_key if tenant.access == "r" else None
        return Access(tenant.access, tenant=tenant.name, upstream_key=upstream_key or self._key)

    def _of_token(self, token: bytes) -> Access | None:
        claims = jwt.read(token, self._key, time.time()) if self._takes_tokens and self._key else None
        if claims is None:
            return None
        if claims.value_exists is not None and self._store_knows_no_keys:
            raise Unauthenticated("Invalid JWT: the embedded store cannot look up what value_exists names")
        everywhere = claims.access if isinstance(claims.access, str) else None
        grants = () if isinstance(claims.access, str) else claims.access
        return Access(
            everywhere,
            {grant.collection: grant.access for grant in grants},
            tenant=None if claims.subject in NO_NAMES else claims.subject,
            if_value_exists=claims.value_exists is not None,
        )


def _found(credential: bytes | None, *ways: Callable[[bytes], Access | None]) -> Access:
    if credential is None:
        raise Unauthenticated("Must provide an API key or an Authorization bearer token")
    for way in ways if credential else ():
        access = way(credential)
        if access:
            return access
    raise Unauthenticated("Invalid API key or JWT")


def _bytes(key: SecretStr | None) -> bytes | None:
    return key.get_secret_value().encode() if key else None


OPEN = Authenticator(Environment())
"""Lets everybody do everything."""


def credential(headers: Headers) -> bytes | None:
    """The credential that a request shows: the header `api-key`, or else a bearer token."""
    return credential_of(named(headers))


def credential_of_call(metadata: Mapping[str, str | bytes]) -> bytes | None:
    """The same of gRPC metadata by its names."""
    shown = {name: value.encode() for name in CARRIERS if isinstance(value := metadata.get(name.decode()), str)}
    return credential_of(shown)


def credential_of(headers: Named) -> bytes | None:
    """The same of headers by their names."""
    if b"api-key" in headers:
        return headers[b"api-key"]
    if b"authorization" not in headers:
        return None
    bearer = headers[b"authorization"]
    return bearer.removeprefix(b"Bearer ") if bearer.startswith(b"Bearer ") else None


def for_qdrant(headers: Headers, access: Access) -> Headers:
    """The headers with the key that Qdrant is shown in place of the caller's credential, if there is one."""
    if access.upstream_key is None:
        return headers
    return [*without(headers, CARRIERS), (b"api-key", access.upstream_key)]
