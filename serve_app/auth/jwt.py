"""JSON Web Tokens as Qdrant takes them: signed with the API key by HMAC-SHA256, and nothing else.

Source: RFC 7515 (the signature), RFC 7519 (`exp`); Qdrant 1.19, src/common/auth/claims.rs and jwt_parser.rs. One
algorithm is computed whatever a token's header asks for, and no claim is read before the signature is right.
"""

from __future__ import annotations

import base64
import hmac
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deployments.errors import Forbidden

_LEEWAY_S = 30
"""How far clocks may differ; Qdrant's figure."""

Global = Literal["r", "m"]
"""Reading, or managing, of all that there is."""

Level = Literal["r", "rw", "prw"]
"""Reading a collection; also writing its points, indexes and snapshots; or writing its points alone."""


class Grant(BaseModel):
    """Access to one collection."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    collection: str
    access: Level
    payload: None = Field(default=None, description="Qdrant took a restriction here once, and refuses one now")


class Claims(BaseModel):
    """What a token says. Claims that Qdrant does not know are passed over."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    exp: int | None = Field(default=None, ge=0, strict=True)
    access: Global | tuple[Grant, ...] = "m"
    value_exists: dict[str, Any] | None = None
    subject: str | None = None

    @model_validator(mode="after")
    def _each_collection_once(self) -> Claims:
        if isinstance(self.access, tuple) and len({grant.collection for grant in self.access}) < len(self.access):
            raise ValueError("a collection is named twice")
        return self


def read(token: bytes, key: bytes, now: float) -> Claims | None:
    """The claims of a token that was signed with `key`; none where it is not a token of this kind.

    `now` is in seconds since 1970.

    Raises:
        Forbidden: the signature is not this key's, or the token has expired.
    """
    signed, _, signature = token.rpartition(b".")
    header, _, payload = signed.partition(b".")
    if token.count(b".") != 2 or not _names_our_algorithm(header):  # noqa: PLR2004
        return None
    if not hmac.compare_digest(_encode(hmac.digest(key, signed, "sha256")), signature):
        raise Forbidden("InvalidSignature")
    try:
        claims = Claims.model_validate_json(_decode(payload))
    except (ValueError, ValidationError):
        return None
    if claims.exp is not None and claims.exp < now - _LEEWAY_S:
        raise Forbidden("ExpiredSignature")
    return claims


def _names_our_algorithm(header: bytes) -> bool:
    try:
        content = orjson.loads(_decode(header))
    except ValueError:
        return False
    return isinstance(content, dict) and content.get("alg") == "HS256"


def _decode(part: bytes) -> bytes:
    return base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
