"""Which hosts the settings let through."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from pydantic import ValidationError

from deployments.catalogue.records import validated
from deployments.errors import ConfigError, WrongInput
from deployments.images.rules import FetchRules

PUBLIC, PUBLIC6, PRIVATE, METADATA = "93.184.215.14", "2606:2800:21f:cb07::1", "10.1.2.3", "169.254.169.254"


def allows(host: str, *addresses: str, **rules: Any) -> bool:
    try:
        FetchRules.model_validate(rules).check_host(host, map(ip_address, addresses))
    except WrongInput:
        return False
    return True


def test_without_settings_public_addresses_are_allowed() -> None:
    assert allows("a.example", PUBLIC, PUBLIC6)
    assert not allows("a.example", PRIVATE)


def test_one_bad_address_is_enough() -> None:
    assert not allows("a.example", PUBLIC, PRIVATE)
    assert not allows("a.example", PRIVATE, PUBLIC6)


def test_an_allow_list_shuts_out_all_others() -> None:
    rules: dict[str, Any] = {"allowed_hosts": ["*.cdn.example", "93.184.0.0/16"]}
    assert allows("a.cdn.example", "8.8.8.8", **rules)
    assert allows("other.example", PUBLIC, **rules)
    assert not allows("other.example", "8.8.8.8", **rules)
    assert not allows("other.example", PUBLIC, "8.8.8.8", **rules)


def test_an_allow_list_opens_no_private_address() -> None:
    assert not allows("a.example", PRIVATE, allowed_hosts=["a.example", "10.0.0.0/8"])


@pytest.mark.parametrize("denied", ["a.example", "*.example", "93.184.215.14", "93.184.0.0/16"])
def test_a_deny_list_has_the_last_word(denied: str) -> None:
    others = {"allowed_hosts": ["a.example"], "private_hosts": ["a.example"]}
    assert allows("a.example", PUBLIC, **others)
    assert not allows("a.example", PUBLIC, **others, denied_hosts=[denied])


@pytest.mark.parametrize("private", ["images.corp.example", "*.corp.example", "10.1.0.0/16", "10.1.2.3"])
def test_a_private_host_may_be_allowed_by_name_or_address(private: str) -> None:
    assert allows("images.corp.example", PRIVATE, private_hosts=[private])
    assert allows("images.corp.example", PRIVATE, private_hosts=[private], allowed_hosts=["cdn.example"])
    assert not allows("a.example", "10.2.0.1", private_hosts=[private])


@pytest.mark.parametrize("address", [METADATA, "fd00:ec2::254", "168.63.129.16", "fe80::1", "::ffff:10.1.2.3"])
def test_a_name_never_opens_the_clouds_own_services(address: str) -> None:
    assert not allows("metadata.internal", address, private_hosts=["*.internal"])
    assert allows("metadata.internal", address, private_hosts=[address])


def test_ports_are_80_and_443_unless_others_are_listed() -> None:
    FetchRules().check_port(80)
    FetchRules().check_port(443)
    with pytest.raises(WrongInput, match="the port in the image URL is not allowed; allowed are 80, 443"):
        FetchRules().check_port(8080)
    FetchRules(ports=(8080,)).check_port(8080)
    FetchRules(ports=()).check_port(1)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({}, "allowed are public hosts on the ports 80, 443"),
        ({"ports": []}, "allowed are public hosts"),
        ({"allowed_hosts": ["secret.example"]}, "allowed are the hosts of this service's list on the ports 80, 443"),
        ({"private_hosts": ["secret.example"]}, "allowed are public hosts on the ports 80, 443"),
    ],
)
def test_the_error_says_what_is_allowed_and_names_no_host(rules: dict[str, Any], said: str) -> None:
    message = FetchRules.model_validate(rules).unreachable().message
    assert message == f"the image URL's host is not allowed or cannot be reached; {said}"


@pytest.mark.parametrize(
    "wrong",
    [
        *({"timeout_s": 0}, {"max_bytes": 0}, {"max_redirects": -1}, {"min_bytes_per_s": 0}, {"ports": [0]}),
        *({"ports": [65536]}, {"hosts": ["a"]}, {"allowed_hosts": ["10.0.0.1/8"]}, {"denied_hosts": ["http://a/"]}),
        *({"private_hosts": ["*"]}, {"private_hosts": "a.example"}, {"allowed_hosts": [1]}),
    ],
)
def test_settings_are_validated(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FetchRules.model_validate(wrong)


def test_a_wrong_host_is_named_with_its_key() -> None:
    with pytest.raises(ConfigError, match=r"loader: denied_hosts: .*10\.0\.0\.1/8"):
        validated(FetchRules, {"denied_hosts": ["10.0.0.1/8"]}, "loader")
