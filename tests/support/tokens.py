"""Tokens as Qdrant's clients make them: JSON Web Tokens with HS256."""

from __future__ import annotations

import base64
import hmac
from typing import Any

import orjson

KEY = b"a-key-of-the-tests-of-32-characters"


def encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(claims: Any, key: bytes = KEY, header: Any = None, digest: str = "sha256") -> bytes:
    header = {"alg": "HS256", "typ": "JWT"} if header is None else header
    signed = encode(orjson.dumps(header)) + b"." + encode(orjson.dumps(claims))
    return signed + b"." + encode(hmac.digest(key, signed, digest))
