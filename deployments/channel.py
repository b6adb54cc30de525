"""The channel between callers and replicas on one machine: frames over a Unix socket, one call each way in one.

A call of Ray Serve's passes through gRPC in Python, which costs both sides more than a millisecond of processor time;
here it is a tenth of one (`python -m benchmarks.model_call`). Ray Serve keeps what it is good at: it starts, checks,
scales, drains and replaces replicas, and carries the calls to other machines. A replica that serves has a socket in a
folder that is for its user alone; to be there is all that has to be announced, and the end of a process closes it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import pickle
import stat
import struct
import tempfile
from enum import IntEnum
from pathlib import Path
from typing import Any, cast

from typing_extensions import override

VARIABLE = "QDRANT_INFERENCE_SOCKETS"
"""Names the folder of the sockets; by default it is one of the user's own among temporary files."""

_HEAD = struct.Struct("<IQB")


class Kind(IntEnum):
    """What a frame is: a call, or that nobody waits for it any more; its result or error; that the replica leaves."""

    CALL = 0
    CANCEL = 1
    RESULT = 2
    ERROR = 3
    LEAVING = 4


class Framed(asyncio.Protocol):
    """One end of a channel. A frame's head, little-endian: bytes of its body (4), number of the call (8), kind (1)."""

    def __init__(self) -> None:
        self._arrived = bytearray()
        self._transport: asyncio.Transport

    def received(self, kind: Kind, number: int, body: bytes) -> None:
        """What comes from the other end, frame by frame."""
        raise NotImplementedError

    def send(self, kind: Kind, number: int, body: bytes = b"") -> None:
        """Send a frame."""
        if not self._transport.is_closing():
            self._transport.writelines((_HEAD.pack(len(body), number, kind), body))

    def close(self) -> None:
        """Close the connection once all is sent."""
        self._transport.close()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        if self._arrived:
            self._arrived += data
            del self._arrived[: self._take(self._arrived)]
        else:  # most frames come whole
            self._arrived += data[self._take(data) :]

    def _take(self, arrived: bytes | bytearray) -> int:
        """Hand on the whole frames of what has arrived, and tell where they end."""
        at = 0
        with memoryview(arrived) as view:
            while len(view) - at >= _HEAD.size:
                size, number, kind = _HEAD.unpack_from(view, at)
                begin = at + _HEAD.size
                if begin + size > len(view):
                    break
                at = begin + size
                self.received(Kind(kind), number, bytes(view[begin:at]))
        return at


def packed(value: object) -> bytes:
    """The body of a frame."""
    return pickle.dumps(value, protocol=5)


def unpacked(body: bytes) -> Any:
    """What a body holds. Who can send one is this user (see `folder`), or could do all that this process can."""
    return pickle.loads(body)  # noqa: S301


def folder() -> Path | None:
    """Where the sockets are: a folder that nobody else can open. None if there is none, or one that others can."""
    own = Path(os.environ.get(VARIABLE) or Path(tempfile.gettempdir(), f"qdrant-inference-{os.getuid()}"))
    try:
        own.mkdir(mode=0o700, exist_ok=True)
        state = own.lstat()
    except OSError:
        return None
    private = stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & 0o077
    return own if private else None


def socket_prefix(cluster: str, application: str, deployment: str) -> str:
    """How the names of the sockets of a deployment's replicas begin, short as such names have to be."""
    return hashlib.sha256(f"{cluster}\0{application}\0{deployment}".encode()).hexdigest()[:16] + "-"
