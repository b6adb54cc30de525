"""Fetching images by URL, from a server on this machine, with host names that a made-up resolver knows."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohappyeyeballs
import pytest
import pytest_asyncio
import trustme

from deployments.errors import WrongInput
from deployments.images.fetching import Fetcher, system_lookup
from deployments.images.rules import FetchRules
from tests.support.site import IMAGE, Answer, Names, Site, plain, repeated

HERE = "127.0.0.1"
FORBIDDEN = "127.0.0.2"
"""An address of this machine at which the server listens as well, and that no rule allows."""
NO_IMAGE = "not an image in one of the formats JPEG, PNG, WEBP, GIF, BMP"
BROKEN = "the image URL gives an answer that is broken or breaks off"
TOO_SLOW = "the image URL sends its image at less than 10000 bytes a second (min_bytes_per_s)"
ANSWERS: dict[str, bytes | Answer] = {
    "/image": plain(200, IMAGE),
    "/html": plain(200, b"<!DOCTYPE html><html><script>alert(1)</script></html>"),
    "/wrong-type": plain(200, IMAGE, Content_Type="text/html"),
    "/no-type": plain(200, IMAGE, Content_Type=None),
    "/packed": plain(200, gzip.compress(IMAGE), Content_Encoding="gzip"),
    "/bomb": plain(200, gzip.compress(bytes(10_000_000)), Content_Encoding="gzip"),
    "/loop": plain(302, Location="/loop"),
    "/nowhere": plain(302),
    "/teapot": plain(418),
    "/empty": plain(204),
    "/partial": plain(206, IMAGE),
    "/too-short": plain(200, IMAGE, Content_Length=len(IMAGE) + 1000),
    "/too-long": plain(200, IMAGE + b"GET /smuggled HTTP/1.1\r\n\r\n", Content_Length=len(IMAGE)),
    "/announced": plain(200, IMAGE, Content_Length=2**40),
    "/negative": plain(200, IMAGE, Content_Length=-1),
    "/two-lengths": plain(200, IMAGE, Content_Length=f"{len(IMAGE)}, 5"),
    "/no-http": b"SSH-2.0-OpenSSH_9.6\r\n",
    "/nothing": b"",
    "/bad-chunk": plain(200, b"zz\r\n", Transfer_Encoding="chunked", Content_Length=None),
    "/endless": repeated(plain(200, IMAGE, Content_Length=None), bytes(50_000)),
    "/endless-html": repeated(plain(200, b"<html>", Content_Length=None), b"<p>" * 10_000),
    "/endless-chunks": repeated(
        plain(200, b"%x\r\n%s\r\n" % (len(IMAGE), IMAGE), Transfer_Encoding="chunked", Content_Length=None),
        b"1000\r\n" + bytes(0x1000) + b"\r\n",
    ),
    "/endless-headers": repeated(b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"x" * 1000 + b"\r\n"),
    "/endless-header": repeated(b"HTTP/1.1 200 OK\r\nX-More: ", b"x" * 1000),
    "/endless-status": repeated(b"HTTP/1.1 200 ", b"O" * 1000),
    "/endless-hints": repeated(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100, 0.001),
    "/slow": repeated(plain(200, IMAGE, Content_Length=None), b".", 0.05),
    "/slow-headers": repeated(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n", 0.1),
    "/silent": repeated(b"", b"", 0.1),
    "/stalled": repeated(plain(200, IMAGE, Content_Length=5000), b"", 0.1),
}


@pytest_asyncio.fixture
async def site() -> AsyncIterator[Site]:
    site = Site(answers=ANSWERS)
    async with await site.start():
        yield site


def names() -> Names:
    return Names(
        images_test=[[HERE]],
        other_test=[[HERE]],
        inner_test=[[FORBIDDEN]],
        mixed_test=[[HERE, FORBIDDEN]],
        mixed6_test=[["93.184.215.14", "fd00::1"]],
        rebinding_test=[[HERE], [FORBIDDEN]],
        localhost=[[FORBIDDEN]],
        metadata_google_internal=[["169.254.169.254"]],
        translated_test=[["64:ff9b::a00:1"]],
        mapped_test=[["::ffff:127.0.0.1"]],
        scoped_test=[["fe80::1%lo"]],
    )


async def fetched(site: Site, url: str, lookup: Names | None = None, max_bytes: int = 10**7, **rules: Any) -> bytes:
    """What a URL gives when of this machine the address HERE and the site's port are allowed."""
    made = FetchRules.model_validate({"private_hosts": [HERE], "ports": [site.port], **rules})
    async with Fetcher(made, lookup or names()) as fetcher:
        return await fetcher.fetch(url, max_bytes)


async def refusal(site: Site, url: str, lookup: Names | None = None, **rules: Any) -> str:
    """The message with which a URL is refused, which may quote no part of it."""
    with pytest.raises(WrongInput) as caught:
        await fetched(site, url, lookup, **rules)
    message = caught.value.message
    assert not any(part in message for part in (HERE, FORBIDDEN, ".test", "secret", "@"))
    return message


def unreachable(site: Site) -> str:
    return (
        f"the image URL's host is not allowed or cannot be reached; allowed are public hosts on the ports {site.port}"
    )


@pytest.fixture
def no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets no connection be tried, wherever it would lead."""

    async def refuse(addr_infos: Any, **_: Any) -> Any:
        raise AssertionError(f"tried to connect to {addr_infos}")

    monkeypatch.setattr(aiohappyeyeballs, "start_connection", refuse)


async def test_an_image_is_fetched(site: Site) -> None:
    assert await fetched(site, site.url()) == IMAGE


ATTACKS = [
    # Addresses of this machine and of its network, as they are.
    *("http://127.0.0.2:{port}/", "http://127.255.255.254:{port}/", "http://0.0.0.0:{port}/", "http://0.1.2.3:{port}/"),
    *(
        "http://10.0.0.1:{port}/",
        "http://172.16.0.1:{port}/",
        "http://192.168.1.1:{port}/",
        "http://100.64.0.1:{port}/",
    ),
    *("http://169.254.169.254:{port}/latest/meta-data/", "http://168.63.129.16:{port}/", "http://192.0.0.192:{port}/"),
    *("http://100.100.100.200:{port}/", "http://224.0.0.1:{port}/", "http://255.255.255.255:{port}/"),
    *("http://[::1]:{port}/", "http://[::]:{port}/", "http://[fe80::1]:{port}/", "http://[fd00:ec2::254]:{port}/"),
    *("http://[ff02::1]:{port}/", "http://[fec0::1]:{port}/"),
    # IPv4 addresses inside of IPv6 addresses: mapped, compatible, translated, 6to4, Teredo.
    *("http://[::ffff:127.0.0.1]:{port}/", "http://[::ffff:7f00:2]:{port}/", "http://[::127.0.0.1]:{port}/"),
    *("http://[::ffff:0:7f00:2]:{port}/", "http://[64:ff9b::7f00:2]:{port}/", "http://[64:ff9b:1::a9fe:a9fe]:{port}/"),
    *("http://[2002:7f00:2::]:{port}/", "http://[2001:0:7f00:2::]:{port}/", "http://[0:0:0:0:0:ffff:7f00:2]:{port}/"),
    # Other spellings of an address.
    *("http://127.2:{port}/", "http://127.0.2:{port}/", "http://2130706434:{port}/", "http://0x7f000002:{port}/"),
    *("http://0x7f.0.0.2:{port}/", "http://0177.0.0.2:{port}/", "http://017700000002:{port}/", "http://0:{port}/"),
    *(
        "http://127.0.0.2.:{port}/",
        "http://127.0.0.02:{port}/",
        "http://%31%32%37.0.0.2:{port}/",
        "http://127%2e0.0.2/",
    ),
    *("http://①②⑦.⓪.⓪.②:{port}/", "http://127\u30020\u30020\u30022:{port}/", "http://\uff11\uff12\uff17.0.0.2:{port}/"),
    *("http://[::1%25lo]:{port}/", "http://[::1%lo]:{port}/", "http://[::1%2525lo]:{port}/", "http://[127.0.0.2]/"),
    # Names that lead inside.
    *("http://localhost:{port}/", "http://LOCALHOST.:{port}/", "http://ⓛocalhost:{port}/", "http://inner.test:{port}/"),
    *("http://mixed.test:{port}/", "http://mixed6.test:{port}/", "http://metadata.google.internal:{port}/"),
    *("http://translated.test:{port}/", "http://mapped.test:{port}/", "http://scoped.test:{port}/"),
    # What parsers of URLs disagree about.
    *("http://images.test@127.0.0.2:{port}/", "http://127.0.0.2:{port}#@images.test/", "http://@127.0.0.2:{port}/"),
    *(
        "http://images.test:80@127.0.0.2:{port}/",
        "http://images.test\\@127.0.0.2:{port}/",
        "http:\\\\127.0.0.2:{port}/",
    ),
    *("http://127.0.0.2:{port}?images.test/", "http://127.0.0.2\t:{port}/", "http://127.0.\n0.2:{port}/"),
    *("http://images.test%00.127.0.0.2:{port}/", "http://images.test\uff0f@127.0.0.2:{port}/", "http://a\0b:{port}/"),
    *("http://user:secret@images.test:{port}/", "http://secret@images.test:{port}/", "http:/127.0.0.2:{port}/"),
    *("http:127.0.0.2:{port}/", "http:///127.0.0.2:{port}/", "//127.0.0.2:{port}/", " http://127.0.0.2:{port}/"),
    # Other schemes and ports.
    *(
        "file:///etc/passwd",
        "ftp://images.test:{port}/",
        "gopher://127.0.0.2:{port}/_secret",
        "dict://127.0.0.2:11211/",
    ),
    *("jar:http://127.0.0.2:{port}!/", "unix:///var/run/docker.sock", "ws://images.test:{port}/", "ldap://inner.test/"),
    *("http://images.test:22/", "http://images.test:6379/", "http://images.test/", "http://images.test:0/"),
    *("http://images.test:99999999999/", "http://images.test:+{port}/", "http://images.test:{port}:{port}/"),
]


@pytest.mark.usefixtures("no_connection")
async def test_a_connection_that_is_tried_would_be_noticed(site: Site) -> None:
    with pytest.raises(AssertionError, match="tried to connect"):
        await fetched(site, site.url())


@pytest.mark.usefixtures("no_connection")
@pytest.mark.parametrize("url", ATTACKS)
async def test_an_attack_is_refused_before_a_connection_is_tried(site: Site, url: str) -> None:
    await refusal(site, url.replace("{port}", str(site.port)))
    assert site.connections == 0


@pytest.mark.parametrize("url", [url for url in ATTACKS if "://" in url and not url.startswith((" ", "http:///"))])
async def test_a_redirect_into_an_attack_is_not_followed(site: Site, url: str) -> None:
    site.answers = {"/go": plain(302, Location=url.replace("{port}", str(site.port)))}
    await refusal(site, site.url("/go"))
    assert [(request.path, request.address) for request in site.requests] == [("/go", HERE)]


async def test_hosts_that_are_forbidden_unknown_or_silent_cannot_be_told_apart(
    site: Site, unused_tcp_port_factory: Callable[[], int]
) -> None:
    closed = unused_tcp_port_factory()
    ports = [site.port, closed]
    urls = [
        site.url(host="inner.test"),
        site.url(host=FORBIDDEN),
        f"http://{FORBIDDEN}:{closed}/",
        site.url(host="unknown.test"),
        site.url(host="mixed.test"),
        f"http://images.test:{closed}/",
        f"https://inner.test:{closed}/",
    ]
    assert len({await refusal(site, url, ports=ports) for url in urls}) == 1
    assert site.connections == 0


async def test_a_name_is_resolved_once_and_the_connection_goes_to_that_address(site: Site) -> None:
    lookup = names()
    assert await fetched(site, site.url("/redirect?to=/image", host="rebinding.test"), lookup) == IMAGE
    assert lookup.asked == ["rebinding.test"]
    assert [request.address for request in site.requests] == [HERE, HERE]
    assert [request.headers["Host"] for request in site.requests] == [f"rebinding.test:{site.port}"] * 2


async def test_a_name_that_leads_elsewhere_when_it_is_resolved_again_is_checked_again(site: Site) -> None:
    lookup = names()
    assert await fetched(site, site.url(host="rebinding.test"), lookup) == IMAGE
    assert await refusal(site, site.url(host="rebinding.test"), lookup) == unreachable(site)
    assert [request.address for request in site.requests] == [HERE]


async def test_the_systems_resolver_gives_addresses() -> None:
    assert set(await system_lookup("localhost")) <= {"127.0.0.1", "::1"}
    with pytest.raises(OSError, match=r"."):
        await system_lookup("no-such-name.invalid")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed_relative_ones_too(site: Site, status: int) -> None:
    assert await fetched(site, site.url(f"/redirect?status={status}&to=/image")) == IMAGE
    assert await fetched(site, site.url(f"/redirect?status={status}&to={site.url(host='other.test')}")) == IMAGE


async def test_redirects_end_after_the_number_allowed(site: Site) -> None:
    assert await refusal(site, site.url("/loop")) == "the image URL leads to more than 3 redirects (max_redirects)"
    assert len(site.requests) == 4
    one = await refusal(site, site.url("/redirect?to=/image"), max_redirects=0)
    assert one == "the image URL leads to more than 0 redirects (max_redirects)"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/html", NO_IMAGE),
        ("/packed", NO_IMAGE),
        ("/bomb", NO_IMAGE),
        ("/endless-html", NO_IMAGE),
        ("/nowhere", "the image URL answers with status 302"),
        ("/absent?secret", "the image URL answers with status 404"),
        ("/teapot", "the image URL answers with status 418"),
        ("/empty", "the image URL answers with status 204"),
        ("/partial", "the image URL answers with status 206"),
        ("/redirect?status=300&to=/image", "the image URL answers with status 300"),
        ("/redirect?status=304&to=/image", "the image URL answers with status 304"),
        ("/announced", "the image behind the URL is larger than 100000 bytes (max_bytes)"),
        ("/endless", "the image behind the URL is larger than 100000 bytes (max_bytes)"),
        ("/endless-chunks", "the image behind the URL is larger than 100000 bytes (max_bytes)"),
        ("/too-short", BROKEN),
        ("/too-long", BROKEN),
        ("/negative", BROKEN),
        ("/two-lengths", BROKEN),
        ("/no-http", BROKEN),
        ("/nothing", BROKEN),
        ("/bad-chunk", BROKEN),
        ("/endless-headers", BROKEN),
        ("/endless-header", BROKEN),
        ("/endless-status", BROKEN),
    ],
)
async def test_a_bad_answer_is_given_up_at_once(site: Site, path: str, message: str) -> None:
    start = time.perf_counter()
    assert await refusal(site, site.url(path), max_bytes=100_000) == message
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("path", ["/slow", "/slow-headers", "/silent", "/stalled", "/endless-hints"])
async def test_what_takes_too_long_is_given_up(site: Site, path: str) -> None:
    message = await refusal(site, site.url(path), timeout_s=0.3)
    assert message == "the image could not be fetched within 0.3 seconds (timeout_s)"


async def test_a_name_that_is_never_resolved_is_given_up(site: Site) -> None:
    async def never(name: str) -> list[str]:
        await asyncio.sleep(60)
        return []

    message = await refusal(site, site.url(), never, timeout_s=0.2)  # type: ignore[arg-type]
    assert message == "the image could not be fetched within 0.2 seconds (timeout_s)"


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/slow", "/stalled"])
async def test_a_body_below_the_minimum_rate_is_given_up_before_the_time_is_over(
    site: Site, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.images.fetching._GRACE_S", 0.2)
    start = time.perf_counter()
    assert await refusal(site, site.url(path), timeout_s=20) == TOO_SLOW
    assert time.perf_counter() - start < 3
    assert await refusal(site, site.url("/slow"), timeout_s=0.5, min_bytes_per_s=1) != TOO_SLOW


@pytest.mark.parametrize("path", ["/wrong-type", "/no-type"])
async def test_an_image_is_taken_whatever_its_headers_say(site: Site, path: str) -> None:
    assert await fetched(site, site.url(path)) == IMAGE


async def test_the_smaller_of_both_limits_on_bytes_holds(site: Site) -> None:
    size = len(IMAGE)
    assert await fetched(site, site.url(), max_bytes=size) == IMAGE
    for limits in ({"max_bytes": size - 1}, {"max_bytes": 10**6}):
        rules = FetchRules.model_validate({"private_hosts": [HERE], "ports": [], "max_bytes": size - 1})
        async with Fetcher(rules, names()) as fetcher:
            with pytest.raises(WrongInput, match=f"larger than {size - 1} bytes"):
                await fetcher.fetch(site.url(), **limits)


async def test_nothing_of_ours_is_sent_and_no_cookie_is_kept(site: Site) -> None:
    async with Fetcher(FetchRules.model_validate({"private_hosts": [HERE], "ports": []}), names()) as fetcher:
        for _ in range(2):
            await fetcher.fetch(site.url("/redirect?to=/image"), 10**6)
    assert len(site.requests) == 4
    for request in site.requests:
        assert set(request.headers) == {"Host", "User-Agent", "Accept", "Accept-Encoding"}
        assert request.headers["User-Agent"] == "qdrant-inference"
        assert request.headers["Accept-Encoding"] == "identity"


async def test_the_query_is_sent_as_it_was_signed(site: Site) -> None:
    await fetched(site, site.url("/image?sig=%2f%7E+~%20&a=&=b#secret"))
    assert site.requests[0].path == "/image?sig=%2f%7E+~%20&a=&=b"


async def test_proxies_and_passwords_of_the_environment_are_not_used(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "netrc").write_text("machine images.test login me password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    assert await fetched(site, site.url()) == IMAGE
    assert "Authorization" not in site.requests[0].headers


@pytest_asyncio.fixture
async def secure(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """A server with a certificate for images.test from an authority that this process trusts."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("images.test").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    site = Site(answers=ANSWERS)
    async with await site.start(context):
        yield site


async def test_a_certificate_is_checked_against_the_name(secure: Site) -> None:
    assert await fetched(secure, secure.url()) == IMAGE
    wrong = "the certificate of the image URL's host is not valid"
    assert await refusal(secure, secure.url(host="other.test")) == wrong
    assert await refusal(secure, secure.url(host=HERE)) == wrong


async def test_an_unknown_authority_is_not_trusted(secure: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", ssl.create_default_context())
    assert await refusal(secure, secure.url()) == "the certificate of the image URL's host is not valid"


async def test_a_redirect_from_https_to_http_is_refused(secure: Site, site: Site) -> None:
    message = await refusal(secure, secure.url(f"/redirect?to={site.url()}"), ports=[])
    assert message == "the image URL redirects from https to http, which is not allowed"
    assert site.connections == 0
    assert await fetched(site, site.url(f"/redirect?to={secure.url()}"), ports=[]) == IMAGE
