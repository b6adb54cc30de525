"""What a service without keys refuses, so that no web page that somebody looks at commands it.

A page of any origin can send simple requests to any address (CORS only keeps it from reading the answers), and can read
answers too if its own name leads to this machine for a while (DNS rebinding). With keys neither gets anywhere.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from functools import cache, lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from deployments.errors import Forbidden, UnsupportedEncoding
from serve_app.protocol.messages import Named

_OWN_SUFFIXES = (".localhost", ".local", ".internal", ".svc")
"""Of names that no stranger can register: those of one machine, of a home network, and inside of a cluster."""

_USUAL_LENGTH = 256
"""Characters of a host name up to which it is remembered what it is; a longer one is looked at each time."""

_NOT_JSON = ("/snapshots/upload",)


def refuse_foreign(headers: Named, path: str, origins: Collection[str], hosts: tuple[str, ...]) -> None:
    """Let pass what does not come from a web page elsewhere, or from one of these origins; or under these host names.

    Raises:
        Forbidden: it does; says which setting would allow it.
        UnsupportedEncoding: a page sends a body that is not said to be JSON, as forms do, which need to ask nobody.
    """
    host = headers.get(b"host", b"")
    if host and not _is_own_host(host, hosts):
        raise Forbidden("without keys the service answers to its own host names only; `allowed_hosts` can have others")
    if b"origin" in headers:
        _refuse_origin(headers[b"origin"].decode("latin-1"), host.decode("latin-1"), headers, path, origins)


def _refuse_origin(origin: str, host: str, headers: Named, path: str, origins: Collection[str]) -> None:
    if not (origin in origins or _is_loopback(_name(origin)) or (host and urlsplit(origin).netloc == host)):
        raise Forbidden("without keys web pages of other origins may not ask here; `allowed_origins` can have some")
    if _has_body(headers) and not path.endswith(_NOT_JSON) and not _is_json(headers):
        raise UnsupportedEncoding("content-type: a web page has to send application/json")


def _is_own_host(host: bytes, hosts: tuple[str, ...]) -> bool:
    return _usual_host_is_own(host, hosts) if len(host) <= _USUAL_LENGTH else _host_is_own(host, hosts)


def _host_is_own(host: bytes, hosts: tuple[str, ...]) -> bool:
    return _is_own(_name("//" + host.decode("latin-1")), hosts)


_usual_host_is_own = lru_cache(maxsize=256)(_host_is_own)


def _name(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _is_own(name: str, hosts: Collection[str]) -> bool:
    """Whether a host name cannot be a stranger's: an address, a name without a domain, or one that is known."""
    if not name:
        return False
    if "." not in name or name.endswith(_OWN_SUFFIXES) or name in hosts or name == _name_of_this_machine():
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


@cache
def _name_of_this_machine() -> str:
    return socket.gethostname().lower()


def _has_body(headers: Named) -> bool:
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


def _is_json(headers: Named) -> bool:
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return kind == b"application/json" or kind.endswith(b"+json")
