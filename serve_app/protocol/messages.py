"""What passes between an API and Qdrant: one HTTP request and its answer, or one gRPC call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from pydantic import SecretStr

from serve_app.protocol.deadlines import UNLIMITED, TimeLimit

Headers = Sequence[tuple[bytes, bytes]]
Keys = Mapping[str, SecretStr]
"""Keys for external providers by their names, such as `openai-api-key`."""

NO_KEYS: Keys = MappingProxyType({})

Body = bytes | AsyncIterator[bytes]
"""A body that was read to its end, or one that is still coming in."""


_ABOUT_COMPRESSION = frozenset({b"content-length", b"content-encoding"})
_ABOUT_BODIES = frozenset({b"content-length", b"content-encoding", b"accept-encoding"})


class Request(NamedTuple):
    """An HTTP request. `path` and `query` are as they were sent, percent-encoded; header names are lower case.

    `tenant` is the caller's name, if its credential tells one; `time` is what Qdrant has for it. `unchecked`: only
    Qdrant can say whether the credential is good. `keys` are those for external providers, which are not among the
    headers any more.
    """

    method: str
    path: str
    query: str
    headers: Headers
    body: Body
    tenant: str | None = None
    unchecked: bool = False
    time: TimeLimit = UNLIMITED
    keys: Keys = NO_KEYS

    @property
    def encodings(self) -> tuple[str, ...]:
        """How the body is compressed, in the words of Content-Encoding, which may stand there more than once."""
        values = [value.decode("latin-1") for key, value in self.headers if key == b"content-encoding"]
        if not values:
            return ()
        return tuple([word for value in values for part in value.split(",") if (word := part.strip().lower())])

    def header(self, name: str) -> str | None:
        """The value of a header, by its name in lower case."""
        wanted = name.encode()
        for key, value in self.headers:
            if key == wanted:
                return value.decode("latin-1")
        return None

    def rewritten(self, body: bytes, query: str, time: TimeLimit) -> Request:
        """The same request with another body, of which we mean to read the answer: so it may not be compressed."""
        headers = [header for header in self.headers if header[0] not in _ABOUT_BODIES]
        return Request(self.method, self.path, query, headers, body, self.tenant, self.unchecked, time, self.keys)

    def without_body(self) -> Request:
        """The same request without its body, of which nothing is read."""
        return self.with_plain_body(b"")

    def with_plain_body(self, body: bytes) -> Request:
        """The same request with its body decompressed."""
        return self.read_as(body, without(self.headers, _ABOUT_COMPRESSION))

    def read_as(self, body: bytes, headers: Headers) -> Request:
        """The same request with its body read to its end."""
        return Request(
            self.method, self.path, self.query, headers, body, self.tenant, self.unchecked, self.time, self.keys
        )


class Response(NamedTuple):
    """An HTTP response; header names are lower case."""

    status: int
    headers: Headers
    body: Body

    def rewritten(self, body: bytes) -> Response:
        """The same response with another body."""
        return Response(self.status, [header for header in self.headers if header[0] not in _ABOUT_BODIES], body)


def without(headers: Headers, names: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    """The headers but for those in `names`; all are in lower case."""
    return [header for header in headers if header[0] not in names]


Named = Mapping[bytes, bytes]
"""Headers by their names; of several with one name the first."""


def named(headers: Headers) -> Named:
    """Headers by their names."""
    return dict(reversed(headers))


Metadata = Sequence[tuple[str, str | bytes]]


class Call(NamedTuple):
    """A gRPC call but for its message; `method` is the full name (`/qdrant.Points/Upsert`), the others as above."""

    method: str
    metadata: Metadata = ()
    tenant: str | None = None
    unchecked: bool = False
    time: TimeLimit = UNLIMITED
    keys: Keys = NO_KEYS

    def within(self, time: TimeLimit) -> Call:
        """The same call with another limit."""
        return Call(self.method, self.metadata, self.tenant, self.unchecked, time, self.keys)


class RawMessage(NamedTuple):
    """The message of a gRPC call as its bytes; `method` is the full name of the one whose message it is.

    To Ray Serve it is a message like others: it pickles, and has the method by which those become bytes.
    """

    method: str
    data: bytes

    def SerializeToString(self) -> bytes:  # noqa: N802  the name that messages have for it
        """The bytes."""
        return self.data


class Reply(NamedTuple):
    """What a gRPC call is answered with when it succeeds."""

    message: bytes
    metadata: Metadata = ()


def json_response(status: int, body: bytes, headers: Headers = ()) -> Response:
    """A response with a JSON body."""
    return Response(status, [(b"content-type", b"application/json"), *headers], body)


async def read(body: Body, limit: int | None = None) -> bytes | None:
    """A body to its end, or None if it is longer than `limit` bytes."""
    if isinstance(body, bytes):
        return body if limit is None or len(body) <= limit else None
    parts: list[bytes] = []
    size = 0
    async for part in body:
        size += len(part)
        if limit is not None and size > limit:
            return None
        parts.append(part)
        if getattr(body, "is_over", False):  # what knows its end need not be asked once more
            break
    return parts[0] if len(parts) == 1 else b"".join(parts)
