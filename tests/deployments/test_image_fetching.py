"""Fetching images by URL, from a server on this machine, with host names that a made-up resolver knows."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer
from pydantic import ValidationError

from deployments.errors import WrongInput
from deployments.image_fetching import FetchRules, fetch, is_public, open_session

NOT_PUBLIC = "the image URL leads to an address that is not public"
NAMES = {"images.test": ["127.0.0.1"], "inner.test": ["127.0.0.1"], "mixed.test": ["93.184.215.14", "10.0.0.1"]}


class MadeUpNames(AbstractResolver):
    """Knows `NAMES` and no others; counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        if host not in NAMES:
            raise OSError("unknown name")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in NAMES[host]
        ]

    async def close(self) -> None:
        pass


class Site:
    """A web server: answers by path, and remembers every request."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.port = 0

    def url(self, path: str, host: str = "images.test") -> str:
        return f"http://{host}:{self.port}{path}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        paths: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
            "/endless": self._endless,
            "/slow": self._slow,
            "/redirect": self._redirect,
        }
        if request.path in paths:
            return await paths[request.path](request)
        answers = {
            "/image": web.Response(body=b"the image"),
            "/big": web.Response(body=bytes(1001)),
            "/packed": web.Response(body=gzip.compress(b"x"), headers={"Content-Encoding": "gzip"}),
            "/loop": web.Response(status=302, headers={"Location": "/loop"}),
            "/nowhere": web.Response(status=302),
        }
        return answers.get(request.path, web.Response(status=404))

    async def _redirect(self, request: web.Request) -> web.StreamResponse:
        """To where the query says, with a cookie."""
        headers = {"Location": request.query["to"], "Set-Cookie": "a=b"}
        return web.Response(status=int(request.query.get("status", "302")), headers=headers)

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(1000))

    async def _slow(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b".")
            await asyncio.sleep(0.05)
        return response


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.answer)
    async with TestServer(app) as server:
        site.port = server.port or 0
        yield site


async def fetched(url: str, lookup: AbstractResolver | None = None, **rules: Any) -> bytes:
    made = FetchRules.model_validate({"allowed_hosts": ("images.test",), **rules})
    async with open_session(made, lookup or MadeUpNames()) as session:
        return await fetch(session, url, made)


async def refusal(url: str, lookup: AbstractResolver | None = None, **rules: Any) -> str:
    """The message with which a URL is refused, which may quote no part of it."""
    with pytest.raises(WrongInput) as caught:
        await fetched(url, lookup, **rules)
    message = caught.value.message
    assert not any(part in message for part in ("127.0.0.1", ".test", "secret", "@"))
    return message


async def test_an_image_is_fetched(site: Site) -> None:
    assert await fetched(site.url("/image")) == b"the image"


async def test_a_name_that_leads_to_a_private_address_is_refused_before_a_connection_is_made(site: Site) -> None:
    assert await refusal(site.url("/image", host="inner.test")) == NOT_PUBLIC
    assert site.requests == []


async def test_one_private_address_among_public_ones_is_enough_to_refuse(site: Site) -> None:
    assert await refusal(site.url("/image", host="mixed.test")) == NOT_PUBLIC


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "0.0.0.0"]
)
async def test_a_private_address_in_the_url_is_refused(site: Site, host: str) -> None:
    assert await refusal(site.url("/image", host=host)) == NOT_PUBLIC
    assert site.requests == []


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "localhost."])
async def test_other_spellings_of_a_private_address_are_refused(site: Site, host: str) -> None:
    await refusal(site.url("/image", host=host), aiohttp.ThreadedResolver())
    assert site.requests == []


async def test_an_allowed_address_may_be_private(site: Site) -> None:
    url = site.url("/image", host="127.0.0.1")
    assert await fetched(url, allowed_hosts=("127.0.0.1",)) == b"the image"


async def test_an_allowed_name_matches_in_any_case_but_not_in_part(site: Site) -> None:
    assert await fetched(site.url("/image", host="Images.Test"), allowed_hosts=("IMAGES.test",)) == b"the image"
    assert await refusal(site.url("/image"), allowed_hosts=("test", "ages.test")) == NOT_PUBLIC


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed_relative_ones_too(site: Site, status: int) -> None:
    assert await fetched(site.url(f"/redirect?status={status}&to=/image")) == b"the image"


@pytest.mark.parametrize("host", ["127.0.0.1", "inner.test"])
async def test_a_redirect_to_a_private_address_is_refused(site: Site, host: str) -> None:
    target = site.url("/image", host=host)
    assert await refusal(site.url(f"/redirect?to={target}")) == NOT_PUBLIC
    assert [request.path for request in site.requests] == ["/redirect"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("file:///etc/passwd", "the image URL has to start with http:// or https://"),
        ("http://me:secret@images.test/", "the image URL contains credentials, which are not allowed"),
        ("http://[broken/", "the image URL cannot be reached"),
    ],
)
async def test_a_redirect_is_checked_like_the_first_url(site: Site, target: str, message: str) -> None:
    assert await refusal(site.url(f"/redirect?to={target}")) == message


async def test_redirects_end_after_the_number_allowed(site: Site) -> None:
    assert await refusal(site.url("/loop")) == "the image URL leads to more than 3 redirects"
    assert len(site.requests) == 4
    assert (
        await refusal(site.url("/redirect?to=/image"), max_redirects=0)
        == "the image URL leads to more than 0 redirects"
    )


async def test_a_redirect_to_nowhere_is_an_error(site: Site) -> None:
    assert await refusal(site.url("/nowhere")) == "the image URL answers with status 302"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://images.test/a", "the image URL has to start with http:// or https://"),
        ("file:///etc/passwd", "the image URL has to start with http:// or https://"),
        ("http://me:secret@images.test/", "the image URL contains credentials, which are not allowed"),
        ("http://secret@images.test/", "the image URL contains credentials, which are not allowed"),
        ("http:///secret", "the image URL names no host"),
        ("http://[secret/", "the image URL is not valid"),
        ("http://unknown.test/", "the host name in the image URL cannot be resolved"),
    ],
)
async def test_a_bad_url_is_refused_with_the_reason(url: str, message: str) -> None:
    assert await refusal(url) == message


async def test_a_port_where_nobody_listens_is_an_error(unused_tcp_port: int) -> None:
    assert await refusal(f"http://images.test:{unused_tcp_port}/") == "the image URL cannot be reached"


async def test_a_status_other_than_200_is_an_error(site: Site) -> None:
    assert await refusal(site.url("/absent")) == "the image URL answers with status 404"


async def test_a_body_that_is_announced_too_large_is_refused(site: Site) -> None:
    assert await refusal(site.url("/big"), max_bytes=1000) == "the image behind the URL is larger than 1000 bytes"
    assert len(await fetched(site.url("/big"), max_bytes=1001)) == 1001


async def test_an_endless_body_is_given_up(site: Site) -> None:
    message = await refusal(site.url("/endless"), max_bytes=100_000)
    assert message == "the image behind the URL is larger than 100000 bytes"


async def test_a_slow_body_is_given_up(site: Site) -> None:
    message = await refusal(site.url("/slow"), timeout_s=0.2)
    assert message == "the image could not be fetched within 0.2 seconds"


async def test_a_compressed_body_is_not_unpacked(site: Site) -> None:
    assert (await fetched(site.url("/packed"))).startswith(b"\x1f\x8b")


async def test_nothing_of_ours_is_sent(site: Site) -> None:
    await fetched(site.url("/redirect?to=/image"))
    assert len(site.requests) == 2
    for request in site.requests:
        assert set(request.headers) == {"Host", "User-Agent", "Accept", "Accept-Encoding"}
        assert request.headers["User-Agent"] == "qdrant-inference"


async def test_proxies_of_the_environment_are_not_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert await fetched(site.url("/image")) == b"the image"


async def test_a_name_is_resolved_once_for_a_fetch(site: Site) -> None:
    names = MadeUpNames()
    await fetched(site.url("/redirect?to=/image"), names)
    assert names.asked == ["images.test"]


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254"),
        *(
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "192.0.0.192",
        ),
        *("::", "::1", "::127.0.0.1", "::ffff:8.8.8.8", "::ffff:10.0.0.1", "64:ff9b::808:808", "64:ff9b:1::1"),
        *("2002:7f00:1::", "2001:db8::1", "2001::1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1"),
    ],
)
def test_no_other_addresses_are_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("wrong", [{"timeout_s": 0}, {"max_bytes": 0}, {"max_redirects": -1}, {"hosts": ["a"]}])
def test_rules_are_validated(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FetchRules.model_validate(wrong)
