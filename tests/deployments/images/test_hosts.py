"""Addresses that are public, and lists of hosts."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from deployments.images.hosts import HostList, is_private, is_public


@pytest.mark.parametrize(
    "address",
    ["93.184.215.14", "8.8.8.8", "192.0.1.1", "100.128.0.1", "172.32.0.1", "2606:2800:21f:cb07::1", "2a00:1450::200e"],
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(ip_address(address))
    assert not is_private(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254"),
        *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.0.0.192", "192.0.2.1"),
        *("192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250"),
        *("240.0.0.1", "255.255.255.255", "168.63.129.16", "100.100.100.200"),
        *("::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:8.8.8.8", "::ffff:10.0.0.1", "::ffff:0:10.0.0.1"),
        *("64:ff9b::808:808", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378::1"),
        *("2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::", "3fff::1", "4000::1", "5f00::1"),
        *("fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1"),
    ],
)
def test_no_other_addresses_are_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["10.1.2.3", "127.0.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12::1"])
def test_addresses_of_the_own_network_are_private(address: str) -> None:
    assert is_private(ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "100.100.100.200", "fd00:ec2::254", "168.63.129.16", "192.0.0.192", "fe80::1", "::ffff:a00:1",
     "0.0.0.0", "224.0.0.1", "64:ff9b::a00:1", "2002:a00:1::"],
)  # fmt: skip
def test_the_clouds_own_services_and_disguised_addresses_are_not_private(address: str) -> None:
    assert not is_private(ip_address(address))


HOSTS = HostList.parse(["img.example.com", "*.cdn.example", "BÜCHER.example.", "10.1.0.0/16", "fd12::/48", "8.8.8.8"])


@pytest.mark.parametrize("host", ["img.example.com", "a.cdn.example", "a.b.cdn.example", "xn--bcher-kva.example"])
def test_a_host_is_named_by_itself_or_by_its_domain(host: str) -> None:
    assert HOSTS.names_host(host)


@pytest.mark.parametrize("host", ["example.com", "x.img.example.com", "cdn.example", "acdn.example", "cdn.example.a"])
def test_no_other_host_is_named(host: str) -> None:
    assert not HOSTS.names_host(host)


def test_addresses_are_covered_by_their_networks() -> None:
    assert all(HOSTS.covers(ip_address(address)) for address in ("10.1.2.3", "fd12::9", "8.8.8.8"))
    assert not any(HOSTS.covers(ip_address(address)) for address in ("10.2.0.1", "fd13::9", "8.8.8.9"))


def test_a_list_without_hosts_is_false() -> None:
    assert not HostList.parse([])
    assert HOSTS


@pytest.mark.parametrize("entry", ["10.0.0.1/8", "a/b", "", "*", "*.", "exa mple", "http://a.example", "a:80", "1.2.3"])
def test_a_wrong_entry_is_an_error(entry: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        HostList.parse([entry])
