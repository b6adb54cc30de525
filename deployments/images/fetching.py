"""Fetching an image by a URL that a stranger chose, without lending them our place in the network.

Every hop is checked anew. A name is resolved once for a connection, and the connection goes to the very addresses that
were checked; TLS certificates are checked against the name. Own certificate authorities: `SSL_CERT_FILE`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from ipaddress import ip_address

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import Self
from yarl import URL

from deployments.errors import WrongInput
from deployments.images import files, urls
from deployments.images.hosts import Address
from deployments.images.rules import FetchRules

Lookup = Callable[[str], Awaitable[Sequence[str]]]
"""From a name to its addresses; raises OSError if there are none."""

_GRACE_S = 3.0
"""How long a body may be slower than the rules ask for."""
_REDIRECTS = {301, 302, 303, 307, 308}
_HEADERS = {
    "User-Agent": "qdrant-inference",
    "Accept": "image/jpeg, image/png, image/webp, image/gif, image/bmp, */*;q=0.1",
    # Without compression: a few bytes could unfold to gigabytes between two looks at the size.
    "Accept-Encoding": "identity",
}

# Names of a stranger's choice may take long to resolve, and a lookup cannot be cancelled: these threads wait for
# nothing else.
_LOOKUPS = ThreadPoolExecutor(64, thread_name_prefix="lookup")


async def system_lookup(name: str) -> Sequence[str]:
    """The addresses that the system's resolver knows for a name."""
    call = asyncio.get_running_loop().run_in_executor
    found = await call(_LOOKUPS, lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
    return [str(address[0]) for *_, address in found]


class Fetcher:
    """Fetches images by the same rules; a context manager. Keeps no cookies, sends nothing of ours."""

    def __init__(self, rules: FetchRules, lookup: Lookup = system_lookup) -> None:
        self._rules = rules
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=_CheckedResolver(rules, lookup)),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=_HEADERS,
            timeout=aiohttp.ClientTimeout(),  # none of its own: the rules have theirs
            auto_decompress=False,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def fetch(self, url: str, max_bytes: int) -> bytes:
        """The image file that a URL leads to, of at most `max_bytes` and no more than the rules allow.

        Raises:
            WrongInput: the URL is refused, or leads to no image within the limits. Never quotes it.
        """
        limit = min(max_bytes, self._rules.max_bytes)
        try:
            return await asyncio.wait_for(self._follow(urls.parse(url), limit), self._rules.timeout_s)
        except asyncio.TimeoutError as error:
            raise WrongInput(
                f"the image could not be fetched within {self._rules.timeout_s:g} seconds (timeout_s)"
            ) from error
        except aiohttp.ClientSSLError as error:
            raise WrongInput("the certificate of the image URL's host is not valid") from error
        except aiohttp.ClientConnectorError as error:
            raise self._rules.unreachable() from error
        # ValueError: what the client finds wrong with a header.
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise WrongInput("the image URL gives an answer that is broken or breaks off") from error

    async def _follow(self, url: URL, limit: int) -> bytes:
        for _ in range(1 + self._rules.max_redirects):
            self._check(url)
            async with self._session.get(url, allow_redirects=False) as response:
                if response.status == HTTPStatus.OK:
                    return await self._body(response, limit)
                url = _redirected(url, response)
        raise WrongInput(f"the image URL leads to more than {self._rules.max_redirects} redirects (max_redirects)")

    def _check(self, url: URL) -> None:
        """Check what a URL says by itself; addresses behind a name are checked when the connection is made."""
        self._rules.check_port(url.port)
        address = _address(url.raw_host or "")
        if address is not None:
            # The client does not ask its resolver about an address.
            self._rules.check_host(str(address), [address])

    async def _body(self, response: aiohttp.ClientResponse, limit: int) -> bytes:
        """The body, given up as soon as it is known to be too large, too slow or no image."""
        too_large = WrongInput(f"the image behind the URL is larger than {limit} bytes (max_bytes)")
        if (response.content_length or 0) > limit:
            raise too_large
        body = bytearray()
        clock = asyncio.get_running_loop().time
        start = clock() + _GRACE_S
        rate = self._rules.min_bytes_per_s
        while chunk := await _within(start + len(body) / rate - clock(), response.content, rate):
            body += chunk
            if len(body) > limit:
                raise too_large
            if len(body) >= files.SIGNATURE:
                files.kind(body)
        return bytes(body)


async def _within(seconds: float, stream: aiohttp.StreamReader, rate: float) -> bytes:
    """What comes next of a body that would else be slower than its rate; none at its end."""
    try:
        return await asyncio.wait_for(stream.readany(), seconds)
    except asyncio.TimeoutError as error:
        raise WrongInput(
            f"the image URL sends its image at less than {rate:g} bytes a second (min_bytes_per_s)"
        ) from error


def _redirected(url: URL, response: aiohttp.ClientResponse) -> URL:
    target = response.headers.get("Location")
    if response.status not in _REDIRECTS or target is None:
        raise WrongInput(f"the image URL answers with status {response.status}")
    reached = urls.join(url, target)
    if url.scheme == "https" and reached.scheme == "http":
        raise WrongInput("the image URL redirects from https to http, which is not allowed")
    return reached


def _address(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


class _CheckedResolver(AbstractResolver):
    """Resolves names and lets no address pass that the rules forbid."""

    def __init__(self, rules: FetchRules, lookup: Lookup) -> None:
        self._rules = rules
        self._lookup = lookup

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002  # both, whatever the client prefers
    ) -> list[ResolveResult]:
        """The addresses of a name, all of which the rules permit.

        Raises:
            WrongInput: one of them is forbidden.
        """
        addresses = [ip_address(address) for address in await self._lookup(host)]
        self._rules.check_host(host, addresses)
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,  # noqa: PLR2004
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing to close."""
