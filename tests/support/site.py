"""A web server that answers as it is told to, byte by byte, and a stand-in for the system's resolver."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from tests.support.hostile_images import encoded

IMAGE = encoded("PNG")

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def plain(status: int = 200, body: bytes = b"", **headers: object) -> bytes:
    """An answer with a length that is right unless a header says otherwise; `_` in a header's name stands for `-`."""
    lines = [f"HTTP/1.1 {status} Said"]
    headers = {"Content_Length": len(body), "Content_Type": "image/png", "Connection": "close", **headers}
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([*lines, "", ""]).encode() + body


def repeated(start: bytes, part: bytes, pause: float = 0.0) -> Answer:
    """A start, and then the same part until nobody listens any more."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return answer


@dataclass
class Request:
    """What a client sent, and to which address of this machine."""

    path: str
    headers: dict[str, str]
    address: str


@dataclass
class Site:
    """Answers by path, and remembers every request; `connections` counts those that sent none, too."""

    answers: dict[str, bytes | Answer] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    scheme: str = "http"

    def url(self, path: str = "/image", host: str = "images.test") -> str:
        """The URL of a path."""
        return f"{self.scheme}://{host}:{self.port}{path}"

    async def start(self, certificate: ssl.SSLContext | None = None) -> asyncio.Server:
        """Listen at all addresses of this machine."""
        # A forbidden address of this machine has to be one that would answer.
        server = await asyncio.start_server(self._serve, "0.0.0.0", 0, ssl=certificate)
        self.port = server.sockets[0].getsockname()[1]
        self.scheme = "https" if certificate else "http"
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            request, *lines = head.rstrip().split("\r\n")
            path = request.split(" ")[1]
            headers = dict(line.split(": ", 1) for line in lines)
            self.requests.append(Request(path, headers, writer.get_extra_info("sockname")[0]))
            await self._answer(path, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        parts = urlsplit(path)
        if parts.path == "/redirect":
            ((to,), (status,)) = (parse_qs(parts.query).get(name, ["302"]) for name in ("to", "status"))
            writer.write(plain(int(status), Location=to, Set_Cookie="session=stolen"))
        else:
            answer = self.answers.get(parts.path, plain(404, b"<html>"))
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await answer(writer)
        await writer.drain()


class Names:
    """A resolver: each name has a list of answers, of which the last is given again and again.

    What it does not know it takes for a number, in all the spellings that the C library knows.
    """

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self.answers = {name.replace("_", "."): list(given) for name, given in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        given = self.answers.get(name)
        if given is None:
            return [socket.inet_ntoa(socket.inet_aton(name))]
        return given.pop(0) if len(given) > 1 else given[0]
