"""Reading URLs: one spelling of each host, and nothing lost of what the server has to see."""

from __future__ import annotations

import pytest

from deployments.errors import WrongInput
from deployments.images.urls import host_name, join, parse

SCHEME = "the image URL has to start with http:// or https://"
CREDENTIALS = "the image URL contains credentials, which are not allowed"
NOT_VALID = "the image URL is not valid"
NO_HOST = "the image URL names no host"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://a.example", "http://a.example/"),
        ("HTTPS://A.Example./x", "https://a.example/x"),
        ("http://a.example?q", "http://a.example/?q"),
        ("http://a.example/x#secret", "http://a.example/x"),
        ("http://a.example/x?y#@b.example/", "http://a.example/x?y"),
        ("http://a.example:8080/", "http://a.example:8080/"),
        ("http://a.example:/", "http://a.example/"),
        ("http://a.example:00080/", "http://a.example/"),
        ("https://bücher.example/ü b.png", "https://xn--bcher-kva.example/%C3%BC%20b.png"),
        ("http://a.example/%7e%2fx/../y?b=%2F+%20~&a=&=", "http://a.example/%7e%2fx/../y?b=%2F+%20~&a=&="),
        ("http://93.184.215.14/x", "http://93.184.215.14/x"),
        ("http://[2606:2800:021F::0:1]/x", "http://[2606:2800:21f::1]/x"),
        ("http://a_b.example/x@y:z", "http://a_b.example/x@y:z"),
    ],
)
def test_a_url_is_read_into_its_canonical_spelling(text: str, expected: str) -> None:
    url = parse(text)
    assert str(url) == expected
    assert f"{url.scheme}://" + (url.host_port_subcomponent or "") + url.raw_path_qs == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, SCHEME) for text in ("ftp://a.example/", "file:///etc/passwd", "gopher://a.example/", "data://x")),
        *((text, SCHEME) for text in ("http:a.example", "http:/a.example", "//a.example/", " http://a.example/", "")),
        *((f"http://{part}@a.example/", CREDENTIALS) for part in ("secret", "me:secret", ":secret", "", "a@b")),
        *((f"http://{host}/", NO_HOST) for host in ("", ":80", ":")),
        *((f"http://{host}/", NOT_VALID) for host in ("127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.0.0.1")),
        *((f"http://{host}/", NOT_VALID) for host in ("127.0.0.1.5", "127.0.0.256", "1.2.3.4..", "a.1", "a.0x1", "0x")),
        *((f"http://{host}/", NOT_VALID) for host in ("a..b", ".a", "-a", "a-", "a b", "a%2eb", "a%00b", "a,b", "a*b")),
        *((f"http://{host}/", NOT_VALID) for host in ("[::1%eth0]", "[::1%25eth0]", "[fe80::1", "[::g]", "[1.2.3.4]")),
        *((f"http://{host}/", NOT_VALID) for host in ("[::1]x", "[v1.a]", "::1", "a:b", "a:80:80", "a:-1", "a:99999")),
        *((f"http://{host}/", NOT_VALID) for host in ("a\uff0fb", "a\uff20b", "a\u3002\u3002b", "\ud800", "é" * 80)),
        *((f"http://a{char}b.example/", NOT_VALID) for char in "\t\n\r\0\\\x7f"),
        *((f"http://a.example/x{char}y", NOT_VALID) for char in "\t\n\r\0\\\x7f"),
        ("http://a.example/\ud800", NOT_VALID),
        ("http://a.example\\@b.example/", NOT_VALID),
        ("http://" + "a" * 64 + ".example/", NOT_VALID),
        ("http://" + "a." * 127 + "example/", NOT_VALID),
        ("http://a.example/" + "x" * 8192, "the image URL has 8209 characters; at most 8192 are allowed"),
    ],
)
def test_what_is_no_plain_url_is_refused(text: str, message: str) -> None:
    with pytest.raises(WrongInput) as caught:
        parse(text)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Example.COM.", "example.com"),
        ("127.0.0.1.", "127.0.0.1"),
        ("①②⑦.⓪.⓪.①", "127.0.0.1"),
        ("127\u30020\u30020\u30021", "127.0.0.1"),
        ("ⓛocalhost", "localhost"),
        ("faß.example", "xn--fa-hia.example"),
    ],
)
def test_a_host_has_one_spelling(text: str, host: str) -> None:
    assert host_name(text) == host


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/y?z", "https://a.example/y?z"),
        ("y", "https://a.example/d/y"),
        ("?z=%2f", "https://a.example/d/x?z=%2f"),
        ("//b.example/y", "https://b.example/y"),
        ("http://b.example", "http://b.example/"),
        ("ü", "https://a.example/d/%C3%BC"),
        ("../../y", "https://a.example/y"),
    ],
)
def test_a_redirect_leads_on_from_where_it_came(target: str, expected: str) -> None:
    assert str(join(parse("https://a.example/d/x?q"), target)) == expected


@pytest.mark.parametrize(
    "target", ["file:///x", "http://me@b.example/", "\\\\b.example", "/\ty", "http://127.1/", "http://["]
)
def test_a_redirect_is_read_as_strictly(target: str) -> None:
    with pytest.raises(WrongInput) as caught:
        join(parse("https://a.example/"), target)
    assert "b.example" not in caught.value.message
