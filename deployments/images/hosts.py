"""Which addresses are public, and lists of hosts as a configuration states them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Union

from deployments.images.urls import host_name

Address = Union[IPv4Address, IPv6Address]
Network = Union[IPv4Network, IPv6Network]

_GLOBAL_UNICAST = ip_network("2000::/3")
"""RFC 4291, section 2.4. Mapped, compatible and translated (NAT64) IPv4 addresses lie outside, as all local ones do."""

_SPECIAL = tuple(
    ip_network(network)
    for network in (
        # IANA's registries of special-purpose addresses (RFC 6890). Written out, because what Python calls private or
        # global differs between its versions.
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),  # Teredo is in the first, 6to4 is the third
        "168.63.129.16/32",  # Azure's host agent: public by its number, answered inside each virtual machine
    )
)

_PRIVATE = tuple(
    ip_network(network)
    for network in ("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1", "fc00::/7")
)
_CLOUD_METADATA = {ip_address(address) for address in ("100.100.100.200", "fd00:ec2::254", "fd20:ce::254")}
"""Where Alibaba, AWS and Google tell virtual machines their credentials; elsewhere it is a link-local address."""


def is_public(address: Address) -> bool:
    """Whether an address belongs to one host on the public internet."""
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return not any(address in network for network in _SPECIAL)


def is_private(address: Address) -> bool:
    """Whether an address belongs to one host of the own network, and not to the cloud's own services."""
    return address not in _CLOUD_METADATA and any(address in network for network in _PRIVATE)


_NETWORK = re.compile(r"[0-9./]+|[0-9a-f:./]*:[0-9a-f:./]*", re.IGNORECASE)


@dataclass(frozen=True)
class HostList:
    """Hosts by name, by domain (`.example.com` for all names below it) and by network."""

    names: frozenset[str] = frozenset()
    domains: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, entries: Sequence[str]) -> HostList:
        """A list of names (`images.example.com`), domains (`*.example.com`), addresses and networks (`10.1.0.0/16`).

        Raises:
            ValueError: an entry is none of these.
        """
        names, domains, networks = set[str](), list[str](), list[Network]()
        for entry in entries:
            try:
                if _NETWORK.fullmatch(entry):
                    networks.append(ip_network(entry))
                elif entry.startswith("*."):
                    domains.append(f".{host_name(entry[2:])}")
                else:
                    names.add(host_name(entry))
            except ValueError as error:
                raise ValueError(f"neither a host, nor *. and a domain, nor a network: {entry}") from error
        return cls(frozenset(names), tuple(domains), tuple(networks))

    def names_host(self, host: str) -> bool:
        """Whether a host stands here by its name."""
        return host in self.names or host.endswith(self.domains)

    def covers(self, address: Address) -> bool:
        """Whether an address stands here."""
        return any(address in network for network in self.networks)

    def has(self, host: str, address: Address) -> bool:
        """Whether a host stands here, by its name or by its address."""
        return self.names_host(host) or self.covers(address)

    def __bool__(self) -> bool:
        return bool(self.names or self.domains or self.networks)
