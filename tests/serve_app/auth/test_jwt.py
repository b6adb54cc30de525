"""Tokens: those of other implementations are read, and no forged one is."""

from __future__ import annotations

import base64
import hmac
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as some

from deployments.errors import Forbidden
from serve_app.auth.jwt import Claims, Grant, read
from tests.support.tokens import KEY, encode, token

NOW = 1_800_000_000


def test_the_example_of_rfc_7515_is_read() -> None:
    example = (
        b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
        b".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        b".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    )
    text = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
    assert read(example, base64.urlsafe_b64decode(text + "=="), 1300819380) == Claims(exp=1300819380, access="m")


def test_a_token_that_pyjwt_makes_is_read() -> None:
    made = jwt.encode({"access": "r", "exp": NOW, "subject": "shop"}, KEY, algorithm="HS256").encode()
    assert read(made, KEY, NOW) == Claims(access="r", exp=NOW, subject="shop")
    for other in ("HS384", "HS512"):
        assert read(jwt.encode({"access": "m"}, KEY * 2, algorithm=other).encode(), KEY * 2, NOW) is None


def test_a_longer_token_is_none() -> None:
    header, payload, _ = token({"access": "m"}).split(b".")
    signed = header + b"." + payload[:4] + b"." + payload[4:]
    assert read(signed + b"." + encode(hmac.digest(KEY, signed, "sha256")), KEY, NOW) is None


def test_stored_tokens_of_pyjwt_are_read() -> None:
    everywhere = (
        b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhY2Nlc3MiOiJyIiwiZXhwIjo0MTAyNDQ0ODAwLCJzdWJqZWN0Ijoic2hvcCJ9"
        b".xlrLFqpM481n1-kcWD08TDKJsymSXzH1IrgzRy9nIfc"
    )
    assert read(everywhere, KEY, NOW) == Claims(access="r", exp=4102444800, subject="shop")
    in_two = (
        b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
        b".eyJhY2Nlc3MiOlt7ImNvbGxlY3Rpb24iOiJjIiwiYWNjZXNzIjoicncifSx7ImNvbGxlY3Rpb24iOiJkIiwiYWNjZXNzIjoiciJ9XX0"
        b".7QBr1fdXrQVZcen0D1f2GVt6hjALYWV7KAK0ySFbOIQ"
    )
    grants = (Grant(collection="c", access="rw"), Grant(collection="d", access="r"))
    assert read(in_two, KEY, NOW) == Claims(access=grants)


@pytest.mark.parametrize(
    "key", [b"short", b"ssh-ed25519AAAAC3NzaC1lZDI1NTE5", b'{"kty":"oct"}', b"-----BEGIN", "schlüssel".encode()]
)
def test_a_key_may_look_like_anything(key: bytes) -> None:
    assert read(token({"access": "r"}, key), key, NOW) == Claims(access="r")
    with pytest.raises(Forbidden, match="InvalidSignature"):
        read(token({"access": "r"}, key), KEY, NOW)


@pytest.mark.parametrize("late", [-1, 0, 30])
def test_a_token_is_good_until_half_a_minute_after_its_time(late: float) -> None:
    assert read(token({"exp": NOW}), KEY, NOW + late) is not None
    with pytest.raises(Forbidden, match="ExpiredSignature"):
        read(token({"exp": NOW}), KEY, NOW + 30.5)


@pytest.mark.parametrize(
    "header", [{"alg": "none"}, {"alg": "HS512"}, {"alg": "RS256"}, {"alg": "hs256"}, {"alg": None}, {}, [], "HS256", 1]
)
def test_no_other_algorithm_is_taken_even_with_a_right_signature(header: Any) -> None:
    assert read(token({"access": "m"}, header=header), KEY, NOW) is None


def test_a_token_without_a_signature_is_refused() -> None:
    signed = token({"access": "m"}).rpartition(b".")[0]
    for forged in (signed + b".", signed + b"." + encode(b"\0" * 32), token({}, b"another key"), token({}, b"")):
        with pytest.raises(Forbidden, match="InvalidSignature"):
            read(forged, KEY, NOW)
    unsigned = encode(b'{"alg":"none"}') + b"." + encode(b'{"access":"m"}') + b"."
    assert read(unsigned, KEY, NOW) is None


def test_changed_claims_do_not_fit_the_signature() -> None:
    header, _, signature = token({"access": "r"}).split(b".")
    forged = b".".join([header, encode(b'{"access":"m"}'), signature])
    with pytest.raises(Forbidden, match="InvalidSignature"):
        read(forged, KEY, NOW)


@pytest.mark.parametrize(
    "claims",
    [
        {"access": "rw"},
        {"access": "prw"},
        {"access": None},
        {"access": [{"collection": "c", "access": "m"}]},
        {"access": [{"collection": "c"}]},
        {"access": [{"collection": 5, "access": "r"}]},
        {"access": [{"collection": "c", "access": "r", "payload": {"user": 1}}]},
        {"access": [{"collection": "c", "access": "r"}, {"collection": "c", "access": "rw"}]},
        {"exp": "soon"},
        {"exp": -1},
        {"exp": 1.5},
        {"subject": 5},
        [],
        "m",
    ],
)
def test_claims_that_qdrant_does_not_take_make_no_token(claims: Any) -> None:
    assert read(token(claims), KEY, NOW) is None


def test_claims_that_nobody_knows_are_passed_over() -> None:
    assert read(token({"access": "r", "iat": NOW + 999, "nbf": NOW + 999, "aud": "x"}), KEY, NOW) == Claims(access="r")


@given(some.lists(some.binary(max_size=30) | some.just(encode(b'{"alg":"HS256"}')), max_size=5).map(b".".join))
def test_bytes_that_were_not_signed_never_become_claims(text: bytes) -> None:
    try:
        assert read(text, KEY, NOW) is None
    except Forbidden:
        assert text.count(b".") == 2
