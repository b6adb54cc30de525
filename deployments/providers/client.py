"""The way to a provider: one pool of connections a host, bounds on time and bytes, and tries again where that is safe.

Embedding changes nothing, so a call may be sent again; but it costs its caller money. It is sent again if the provider
has hardly worked for it: no connection came about, or the one that was open was closed before an answer began, or the
provider (or what stands before it) says 429, 502, 503 or 504. What timed out, or broke off in its answer, is not.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

import aiohttp

from deployments.errors import DeadlineExceeded, ModelUnavailable, Overloaded
from deployments.providers.replies import Reply
from deployments.providers.settings import ProvidersSettings

_AGAIN = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_LONGEST_WAIT_S = 3.0
"""Between two tries; who says to come back later is not waited for."""

_FIRST_WAIT_S = 0.25
_CHUNK = 256 * 1024


@dataclass(frozen=True)
class Call:
    """One POST of JSON. `most_bytes` of its answer are read; `name` is what errors call the model."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    most_bytes: int
    name: str

    def __repr__(self) -> str:
        """Without the key and the inputs that are in it."""
        return f"Call({self.name})"


class Client:
    """Sends calls. Belongs to the event loop in which it was made."""

    def __init__(self, settings: ProvidersSettings) -> None:
        self._settings = settings
        self._under_way: Counter[str] = Counter()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=settings.connections),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=settings.connect_timeout_s),
        )

    async def close(self) -> None:
        """End all connections."""
        await self._session.close()

    async def send(self, call: Call) -> Reply:
        """The answer to a call.

        Raises:
            ModelUnavailable: the provider cannot be reached, broke off, or answered with more than it should.
            DeadlineExceeded: it took too long.
            Overloaded: too many calls to this host are under way.
        """
        host = urlsplit(call.url).netloc
        if self._under_way[host] >= self._settings.calls:
            raise Overloaded(f"{self._settings.calls} calls to the provider of {call.name} are under way (calls)")
        self._under_way[host] += 1
        try:
            return await asyncio.wait_for(self._tried(call), self._settings.timeout_s)
        except asyncio.TimeoutError:
            took = f"{self._settings.timeout_s:g} s (timeout_s)"
            raise DeadlineExceeded(f"the provider of {call.name} did not answer within {took}") from None
        finally:
            self._under_way[host] -= 1
            if not self._under_way[host]:
                del self._under_way[host]

    async def _tried(self, call: Call) -> Reply:
        """The first answer that another try would not better, or the last one."""
        for number in range(1, self._settings.tries + 1):
            reply = await self._sent(call, number)
            if reply is not None and not _may_pass_later(reply):
                return reply
            if number < self._settings.tries:
                await asyncio.sleep(_pause(number) + ((reply and reply.retry_after) or 0.0))
        if reply is None:
            raise ModelUnavailable(f"the provider of {call.name} cannot be reached", 5)
        return reply

    async def _sent(self, call: Call, number: int) -> Reply | None:
        """One try; None if no answer began, so that the call may be sent again.

        No error of the HTTP library goes on from here: some hold the headers of the request.
        """
        try:
            async with self._session.post(
                call.url, data=call.body, headers=call.headers, allow_redirects=False, proxy=proxy_for(call.url)
            ) as response:
                return await _read(response, call, number)
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError):
            raise ModelUnavailable(f"the certificate of the provider of {call.name} is not trusted", 60) from None
        except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            return None
        except aiohttp.ConnectionTimeoutError:
            return None
        except (aiohttp.ClientError, ValueError, OSError):
            raise ModelUnavailable(f"the provider of {call.name} broke off, or speaks no HTTP") from None


def _may_pass_later(reply: Reply) -> bool:
    """Whether a provider is busy, and wants to be asked again soon enough to wait for."""
    return reply.status in _AGAIN and (reply.retry_after or 0.0) <= _LONGEST_WAIT_S


def _pause(number: int) -> float:
    """Seconds before the try after this one: four times as long each time, with jitter."""
    jitter = random.uniform(0.5, 1.0)  # noqa: S311  no secret hangs on it
    return jitter * _FIRST_WAIT_S * 4.0 ** (number - 1)


async def _read(response: aiohttp.ClientResponse, call: Call, number: int) -> Reply:
    headers = {name.lower(): value for name, value in response.headers.items()}
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise ModelUnavailable(f"the provider of {call.name} sent a compressed answer, which nobody asked for", 10)
    body = bytearray()
    try:
        async for part in response.content.iter_chunked(_CHUNK):
            body += part
            if len(body) > call.most_bytes:
                response.close()
                raise ModelUnavailable(f"the provider of {call.name} sent a longer answer than vectors can be", 10)
    except (aiohttp.ClientError, OSError):
        raise ModelUnavailable(f"the provider of {call.name} broke off in the middle of its answer") from None
    return Reply(response.status, headers, bytes(body), number)


def proxy_for(url: str) -> str | None:
    """The proxy of the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY); nothing of ~/.netrc is read."""
    parts = urlsplit(url)
    if not parts.hostname or proxy_bypass(parts.netloc):
        return None
    proxies = getproxies_environment()
    return proxies.get(parts.scheme) or proxies.get("all")
