"""What may be fetched by URL: settings, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import BeforeValidator, Field

from deployments.catalogue.records import Record
from deployments.errors import WrongInput
from deployments.images.hosts import Address, HostList, is_private, is_public


def _hosts(value: object) -> HostList:
    if not isinstance(value, list | tuple) or not all(isinstance(entry, str) for entry in value):
        raise ValueError("expected a list of hosts")
    return HostList.parse(value)


Hosts = Annotated[HostList, BeforeValidator(_hosts)]
Port = Annotated[int, Field(ge=1, le=65535)]


class FetchRules(Record):
    """What may be fetched by URL.

    Hosts are names, domains (`*.example.com`: all names below it), addresses and networks (`10.1.0.0/16`). Proxies in
    the environment are not used: a proxy resolves names by itself, past all that is checked here.
    """

    allowed_hosts: Hosts = Field(default=HostList(), description="if any: no others, but for private_hosts")
    denied_hosts: Hosts = Field(default=HostList(), description="never, whatever the other lists say")
    private_hosts: Hosts = Field(
        default=HostList(),
        description="may have private addresses; link-local ones and the cloud's own only if listed as addresses",
    )
    ports: tuple[Port, ...] = Field(default=(80, 443), description="of all hosts; none listed: any")
    timeout_s: float = Field(default=10.0, gt=0, description="seconds for one image, redirects included")
    min_bytes_per_s: float = Field(default=10_000, gt=0, description="on average, after the first three seconds")
    max_bytes: int = Field(default=10 * 1024 * 1024, gt=0)
    max_redirects: int = Field(default=3, ge=0)

    def check_port(self, port: int | None) -> None:
        """Refuse a port.

        Raises:
            WrongInput: names those that are allowed.
        """
        if self.ports and port not in self.ports:
            raise WrongInput(f"the port in the image URL is not allowed; allowed are {_listed(self.ports)}")

    def check_host(self, host: str, addresses: Iterable[Address]) -> None:
        """Refuse a host by its name and its addresses.

        One bad address among good ones is enough: a name that leads inside and outside at once was made to, and which
        of its addresses is tried first would be up to whoever made it.

        Raises:
            WrongInput: `unreachable`.
        """
        if not all(self._permits(host, address) for address in addresses):
            raise self.unreachable()

    def unreachable(self) -> WrongInput:
        """One error for hosts that do not exist, do not answer or are refused.

        A stranger would learn from different ones which names and addresses there are in the own network.
        """
        hosts = "the hosts of this service's list" if self.allowed_hosts else "public hosts"
        ports = f" on the ports {_listed(self.ports)}" if self.ports else ""
        return WrongInput(f"the image URL's host is not allowed or cannot be reached; allowed are {hosts}{ports}")

    def _permits(self, host: str, address: Address) -> bool:
        private = self.private_hosts.has(host, address)
        if self.denied_hosts.has(host, address):
            return False
        if self.allowed_hosts and not (private or self.allowed_hosts.has(host, address)):
            return False
        if is_public(address) or self.private_hosts.covers(address):
            return True
        # A name such as *.internal must not open the way to the cloud's metadata.
        return private and is_private(address)


def _listed(ports: Iterable[int]) -> str:
    return ", ".join(map(str, ports))
