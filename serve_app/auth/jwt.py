"""JSON Web Tokens as Qdrant takes them: signed with the API key by HMAC-SHA256, and nothing else.

PyJWT checks the signature (RFC 7515); the claims are Qdrant's. Source: RFC 7519 (`exp`); Qdrant 1.19,
src/common/auth/claims.rs and jwt_parser.rs. One algorithm is taken whatever a token's header asks for, and no claim is
read before the signature is right.
"""

from __future__ import annotations

from typing import Any, Literal

from jwt import PyJWS
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import InvalidSignatureError, PyJWTError
from pydantic import BaseModel, ConfigDict, Field, model_validator
from typing_extensions import override

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


class _AnyKey(HMACAlgorithm):
    """HMAC with any key, as in Qdrant. PyJWT refuses one that looks like another algorithm's; here is only one."""

    @override
    def prepare_key(self, key: str | bytes) -> bytes:
        return key.encode() if isinstance(key, str) else key

    @override
    def check_key_length(self, key: bytes) -> None:
        return None


_signatures = PyJWS(algorithms=[])
_signatures.register_algorithm("HS256", _AnyKey(HMACAlgorithm.SHA256))


def read(token: bytes, key: bytes, now: float) -> Claims | None:
    """The claims of a token that was signed with `key`; none if it is not a token of this kind.

    `now` is in seconds since 1970.

    Raises:
        Forbidden: the signature is not this key's, or the token has expired.
    """
    if token.count(b".") != 2:  # noqa: PLR2004  PyJWT takes more parts for a longer payload
        return None
    try:
        claims = Claims.model_validate_json(_signatures.decode(token, key, algorithms=["HS256"]))
    except InvalidSignatureError as error:
        raise Forbidden("InvalidSignature") from error
    except (PyJWTError, ValueError):
        return None
    if claims.exp is not None and claims.exp < now - _LEEWAY_S:
        raise Forbidden("ExpiredSignature")
    return claims
