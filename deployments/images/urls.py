"""Reading an image's URL so that what is checked is what is connected to.

This is the only parser of such a URL: the client of HTTP gets one that is put together again from the parts read here.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote, urljoin

from yarl import URL

from deployments.errors import WrongInput

_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_PARTS = re.compile(r"([^:]+)://([^/?#]*)([^?#]*)(\?[^#]*)?(?:#.*)?", re.DOTALL)
"""Scheme, authority, path and query: RFC 3986, appendix B, for a URL that has a scheme and an authority."""
_AUTHORITY = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:]*))(?::([0-9]{0,5}))?", re.IGNORECASE)
"""An IPv6 address (without a zone), or a name or IPv4 address; and the port."""
_NAME = re.compile(r"(?!.{254})(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
_MISREAD = re.compile(r"[\x00-\x1f\x7f\\]")
"""What parsers of URLs drop (tabs, line ends) or turn into a slash (backslash)."""
_NOT_VALID = "the image URL is not valid"
_LONGEST = 8192
_LAST_PORT = 65535
_ASCII = "".join(map(chr, range(0x21, 0x7F)))


def parse(text: str) -> URL:
    """An http(s) URL with a host in its one canonical spelling; path and query as they were sent.

    Raises:
        WrongInput: it is none, or contains credentials. Never quotes it.
    """
    if not _SCHEME.match(text):
        raise WrongInput("the image URL has to start with http:// or https://")
    if len(text) > _LONGEST:
        raise WrongInput(f"the image URL has {len(text)} characters; at most {_LONGEST} are allowed")
    parts = _PARTS.fullmatch(text)
    if parts is None or _MISREAD.search(text):
        raise WrongInput(_NOT_VALID)
    scheme, authority, path, query = parts.groups(default="")
    if "@" in authority:
        raise WrongInput("the image URL contains credentials, which are not allowed")
    try:
        # All of ASCII is left as it is: a signature in the query may have been made over this very spelling.
        rest = quote((path or "/") + query, safe=_ASCII)
        return URL(f"{scheme.lower()}://{_authority(authority)}{rest}", encoded=True)
    except ValueError as error:
        raise WrongInput(_NOT_VALID) from error


def join(url: URL, target: str) -> URL:
    """Where a redirect leads, relative to the URL that answered with it; raises as `parse` does."""
    if _MISREAD.search(target):
        raise WrongInput(_NOT_VALID)
    try:
        return parse(urljoin(str(url), target))
    except ValueError as error:
        raise WrongInput(_NOT_VALID) from error


def host_name(text: str) -> str:
    """A host's name or IPv4 address in its canonical spelling: lower case, IDNA, without the dot at the end.

    Raises:
        ValueError: it is none, or is a number in disguise. What ends in a number is an IPv4 address (WHATWG URL
            Standard, section 3.5), and other spellings of one than four decimal numbers are not taken.
    """
    name = (text if text.isascii() else str(URL.build(scheme="http", host=text).raw_host)).lower().removesuffix(".")
    last = name.rpartition(".")[2]
    if _NUMBER.fullmatch(last):
        return str(IPv4Address(name))
    if not _NAME.fullmatch(name):
        raise ValueError("not a host name")
    return name


def _authority(text: str) -> str:
    parts = _AUTHORITY.fullmatch(text)
    if parts is None:
        raise ValueError("not an authority")
    ipv6, name, port = parts.groups(default="")
    if not ipv6 and not name:
        raise WrongInput("the image URL names no host")
    host = f"[{IPv6Address(ipv6)}]" if ipv6 else host_name(name)
    if not port:
        return host
    if int(port) > _LAST_PORT:
        raise ValueError("not a port")
    return f"{host}:{int(port)}"
