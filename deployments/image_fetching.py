"""Fetching an image by a URL that a stranger chose, without lending them our place in the network.

Every hop is checked anew, and a name is resolved once: the connection goes to the very addresses that were checked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from http import HTTPStatus

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from pydantic import Field
from yarl import URL

from deployments.catalogue import Record
from deployments.errors import WrongInput

_CHUNK = 1 << 16
_REDIRECTS = {301, 302, 303, 307, 308}
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""RFC 4291, section 2.4. All that carries an IPv4 address inside lies outside (mapped ::ffff:0:0/96, NAT64
64:ff9b::/96), but for 6to4."""
_6TO4 = ipaddress.IPv6Network("2002::/16")
_CLOUD_INTERNAL = (ipaddress.IPv4Network("168.63.129.16/32"), ipaddress.IPv4Network("192.0.0.0/24"))
"""Where clouds answer their virtual machines: Azure at an address that is public by its number, Oracle inside IETF
protocol assignments (RFC 6890), which not every version of Python 3.10 and 3.11 calls private."""


class FetchRules(Record):
    """What may be fetched by URL."""

    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="names and addresses, as they stand in URLs, that may lead to private addresses"
    )
    timeout_s: float = Field(default=10.0, gt=0, description="seconds for one image, redirects included")
    max_bytes: int = Field(default=10 * 1024 * 1024, gt=0)
    max_redirects: int = Field(default=3, ge=0)

    def trusts(self, host: str) -> bool:
        """Whether a host may have a private address."""
        return host.lower() in {allowed.lower().strip("[]") for allowed in self.allowed_hosts}


def open_session(rules: FetchRules, lookup: AbstractResolver | None = None) -> aiohttp.ClientSession:
    """A session for `fetch` that connects to no address the rules forbid; `lookup` takes the place of the system's."""
    resolver = _CheckedResolver(rules, lookup or aiohttp.ThreadedResolver())
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=resolver),
        cookie_jar=aiohttp.DummyCookieJar(),
        # Without compression: a few bytes could unfold to gigabytes between two looks at the size.
        headers={"User-Agent": "qdrant-inference", "Accept-Encoding": "identity"},
        auto_decompress=False,
        trust_env=False,
    )


async def fetch(session: aiohttp.ClientSession, url: str, rules: FetchRules) -> bytes:
    """The body that a URL leads to. The session comes from `open_session` with the same rules.

    Raises:
        WrongInput: the URL is refused, or leads to no answer within the limits. Never quotes it.
    """
    try:
        return await asyncio.wait_for(_follow(session, _parse(url), rules), rules.timeout_s)
    except asyncio.TimeoutError as error:
        raise WrongInput(f"the image could not be fetched within {rules.timeout_s:g} seconds") from error
    except aiohttp.ClientConnectorDNSError as error:
        raise WrongInput("the host name in the image URL cannot be resolved") from error
    # ValueError: what the parser of URLs says of a redirect's target, or of a host name that no resolver takes.
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise WrongInput("the image URL cannot be reached") from error


def _parse(url: str) -> URL:
    try:
        return URL(url)
    except ValueError as error:
        raise WrongInput("the image URL is not valid") from error


async def _follow(session: aiohttp.ClientSession, url: URL, rules: FetchRules) -> bytes:
    for _ in range(1 + rules.max_redirects):
        _check(url, rules)
        async with session.get(url, allow_redirects=False) as response:
            if response.status == HTTPStatus.OK:
                return await _body(response, rules)
            target = response.headers.get("Location")
            if response.status not in _REDIRECTS or target is None:
                raise WrongInput(f"the image URL answers with status {response.status}")
            url = url.join(URL(target))
    raise WrongInput(f"the image URL leads to more than {rules.max_redirects} redirects")


async def _body(response: aiohttp.ClientResponse, rules: FetchRules) -> bytes:
    """The body, given up as soon as it is known to be too large."""
    body = bytearray()
    if (response.content_length or 0) <= rules.max_bytes:
        async for chunk in response.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > rules.max_bytes:
                break
        else:
            return bytes(body)
    raise WrongInput(f"the image behind the URL is larger than {rules.max_bytes} bytes")


def _check(url: URL, rules: FetchRules) -> None:
    """Check what a URL says by itself; addresses behind a name are checked when the connection is made."""
    if url.scheme not in {"http", "https"}:
        raise WrongInput("the image URL has to start with http:// or https://")
    if url.user is not None or url.password is not None:
        raise WrongInput("the image URL contains credentials, which are not allowed")
    if not url.host:
        raise WrongInput("the image URL names no host")
    # The connector does not ask its resolver about an address.
    if _is_address(url.host):
        _check_address(url.host, url.host, rules)


def _check_address(host: str, address: str, rules: FetchRules) -> None:
    if not rules.trusts(host) and not is_public(address):
        raise WrongInput("the image URL leads to an address that is not public")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_public(address: str) -> bool:
    """Whether an IP address is one host's on the public internet."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        return ip.is_global and ip in _GLOBAL_UNICAST and ip not in _6TO4
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _CLOUD_INTERNAL)


class _CheckedResolver(AbstractResolver):
    """Resolves names through another resolver and lets no address pass that the rules forbid."""

    def __init__(self, rules: FetchRules, lookup: AbstractResolver) -> None:
        self._rules = rules
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name.

        Raises:
            WrongInput: one of them is not public, and the host is not among those that are allowed.
        """
        results = await self._lookup.resolve(host, port, family)
        for result in results:
            _check_address(host, result["host"], self._rules)
        return results

    async def close(self) -> None:
        """Close the resolver behind."""
        await self._lookup.close()
