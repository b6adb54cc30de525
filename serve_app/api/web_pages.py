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
from serve_app.protocol.messages import Request

_OWN_SUFFIXES = (".localhost", ".local", ".internal", ".svc")
"""Of names that no stranger can register: those of one machine, of a home network, and inside of a cluster."""

_USUAL_LENGTH = 256
"""Characters of a host name up to which it is remembered what it is; a longer one is looked at each time."""

_NOT_JSON = ("/snapshots/upload",)


def refuse_foreign(request: Request, origins: Collection[str], hosts: Collection[str]) -> None:
    """Let pass what does not come from a web page elsewhere, or from one of these origins; or under these host names.

    Raises:
        Forbidden: it does; says which setting would allow it.
        UnsupportedEncoding: a page sends a body that is not said to be JSON, as forms do, which need to ask nobody.
    """
    host, origin = request.header("host"), request.header("origin")
    if host and not _is_own_host(host, tuple(hosts)):
        raise Forbidden("without keys the service answers to its own host names only; `allowed_hosts` can have others")
    if origin is None:
        return
    if not (origin in origins or _is_loopback(_name(origin)) or (host and urlsplit(origin).netloc == host)):
        raise Forbidden("without keys web pages of other origins may not ask here; `allowed_origins` can have some")
    if _has_body(request) and not request.path.endswith(_NOT_JSON) and not _is_json(request):
        raise UnsupportedEncoding("content-type: a web page has to send application/json")


def _is_own_host(host: str, hosts: tuple[str, ...]) -> bool:
    usual = len(host) <= _USUAL_LENGTH
    return _usual_host_is_own(host, hosts) if usual else _is_own(_name(f"//{host}"), hosts)


@lru_cache(maxsize=256)
def _usual_host_is_own(host: str, hosts: tuple[str, ...]) -> bool:
    return _is_own(_name(f"//{host}"), hosts)


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


def _has_body(request: Request) -> bool:
    return request.header("content-length") not in {None, "0"} or request.header("transfer-encoding") is not None


def _is_json(request: Request) -> bool:
    kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")
