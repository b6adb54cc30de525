"""Callers' keys: where they come from, and who may use whose."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from deployments.catalogue.card import ModelCard, route
from deployments.catalogue.providers import Endpoint
from deployments.errors import BadOption, Forbidden
from serve_app.inference import provider_keys
from serve_app.inference.provider_keys import EVERYBODY, KeyRing, OperatorKeys, digest

OPENAI = route("openai", Endpoint())
WITH_OPERATORS = route("openai", Endpoint(key_env="OUR_KEY"))
OWN_SERVER = route("openai", Endpoint(url="http://10.1.0.7:8000/v1"))
HEADERS = provider_keys.of_headers([(b"openai-api-key", b"sk-header"), (b"api-key", b"q"), (b"x-api-key", b"p")])


def shown(ring: KeyRing, card: ModelCard = OPENAI, **given: Any) -> tuple[str, str | None, str | None] | None:
    key = ring.key(card, {name.replace("_", "-"): value for name, value in given.items()}, "points[0].vector")
    return key and (key.owner, key.secret and key.secret.get_secret_value(), key.variable)


def test_headers_of_providers_are_told_from_others() -> None:
    assert {name: key.get_secret_value() for name, key in HEADERS.items()} == {"openai-api-key": "sk-header"}
    assert "sk-header" not in repr(HEADERS) + repr(KeyRing(HEADERS))


def test_an_option_goes_before_a_header_and_both_before_keys_of_others() -> None:
    operator = OperatorKeys({"shop": {"openai-api-key": "SHOP_KEY"}}, frozenset({EVERYBODY}))
    ring = KeyRing(HEADERS, "shop", operator)
    assert shown(ring, openai_api_key="sk-option") == ("request", "sk-option", None)
    assert shown(ring) == ("request", "sk-header", None)
    assert shown(KeyRing({}, "shop", operator), WITH_OPERATORS) == ("tenant", None, "SHOP_KEY")
    assert shown(KeyRing({}, "bakery", operator), WITH_OPERATORS) == ("operator", None, "OUR_KEY")


def test_without_a_key_the_error_says_how_to_bring_one() -> None:
    with pytest.raises(BadOption, match=r"points\[0\]\.vector: openai/\* needs a key; .*'openai-api-key'"):
        shown(KeyRing())


@pytest.mark.parametrize(
    ("open_to", "tenant", "may"),
    [((), None, False), ((), "shop", False), (("shop",), "shop", True), (("shop",), None, False), (("*",), None, True)],
)
def test_the_operators_key_is_for_those_that_the_configuration_names(
    open_to: tuple[str, ...], tenant: str | None, may: bool
) -> None:
    ring = KeyRing({}, tenant, OperatorKeys({}, frozenset(open_to)))
    if may:
        assert shown(ring, WITH_OPERATORS) == ("operator", None, "OUR_KEY")
    else:
        with pytest.raises(Forbidden, match="not for this caller"):
            shown(ring, WITH_OPERATORS)


def test_a_key_for_a_provider_goes_to_no_other_server() -> None:
    assert shown(KeyRing(HEADERS), OWN_SERVER, openai_api_key="sk-option") is None
    own = route("openai", Endpoint(url="http://10.1.0.7:8000/v1", key="litellm-api-key"))
    assert shown(KeyRing(HEADERS), own, litellm_api_key="mine") == ("request", "mine", None)
    assert shown(KeyRing(HEADERS), route("cohere", Endpoint()), cohere_api_key="c") == ("request", "c", None)


@pytest.mark.parametrize("key", ["", "a b", "a\r\nx: y", "é", "x" * 1025, 7, None, ["a"], {"a": 1}])
def test_what_is_no_key_is_refused_and_not_quoted(key: Any) -> None:
    with pytest.raises(BadOption) as caught:
        shown(KeyRing(), openai_api_key=key)
    assert caught.value.message.endswith("openai-api-key: expected a key, of visible ASCII characters")
    if isinstance(key, str):
        with pytest.raises(BadOption):
            shown(KeyRing({"openai-api-key": SecretStr(key)}))


def test_keys_are_told_apart_without_being_shown() -> None:
    keys = [KeyRing().key(OPENAI, {"openai-api-key": f"sk-{n}"}, "") for n in (1, 1, 2)]
    first, same, other = map(digest, keys)
    assert first == same != other
    assert b"sk-" not in first
    assert digest(None) == b""
    assert "sk-" not in repr(keys)
