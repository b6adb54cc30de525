"""HTTP/2 frames, as a client of gRPC sends and reads them. No I/O.

Source: RFC 9113, sections 4 and 6. Header blocks are those of RFC 7541, written without its table and without Huffman
coding; what comes back is read by the library `hpack`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import hpack

from serve_app.protocol.messages import Headers

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9
LEAST_FRAME = 16 * 1024
"""Bytes that a frame may have unless a peer allows more."""

MOST_WINDOW = 2**31 - 1
LAST_STREAM = 2**31 - 1

DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
"""Types of frames."""

END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
"""Flags of frames."""

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 2, 3, 4, 5
"""Settings."""

NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY = 0, 1, 7, 8, 11, 12
"""Codes of errors."""

_HEAD = struct.Struct(">HBBBI")
_SETTING = struct.Struct(">HI")
_NUMBER = struct.Struct(">I")
_SEVEN_BITS = 0x7F
_BLOCKS = 256
"""Header blocks that are remembered: a server's answers begin and end in a few ways, until the second is over."""


class ProtocolError(Exception):
    """What came is no HTTP/2, or none that was asked for."""


class Frame(NamedTuple):
    """A frame as it came."""

    kind: int
    flags: int
    stream: int
    body: bytes


def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    """A frame's bytes."""
    size = len(body)
    return _HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + body


def settings(values: Iterable[tuple[int, int]]) -> bytes:
    """A frame with settings."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*pair) for pair in values))


def settings_of(body: bytes) -> Iterator[tuple[int, int]]:
    """The settings in a frame of them."""
    if len(body) % _SETTING.size:
        raise ProtocolError("settings that are not whole")
    return _SETTING.iter_unpack(body)


def number(value: int) -> bytes:
    """The body of a frame that is one number: a window's growth, or the code of an error."""
    return _NUMBER.pack(value)


def number_of(body: bytes) -> int:
    """The first number in a frame's body, but for its highest bit."""
    if len(body) < _NUMBER.size:
        raise ProtocolError("a frame that is too short")
    return int(_NUMBER.unpack_from(body)[0]) & MOST_WINDOW


def frames(received: bytes, most: int) -> tuple[list[Frame], bytes]:
    """The frames that are whole in what was received, and what is left of it.

    Raises:
        ProtocolError: one is longer than `most` bytes.
    """
    found: list[Frame] = []
    at, end = 0, len(received)
    while end - at >= HEAD_BYTES:
        high, low, kind, flags, stream = _HEAD.unpack_from(received, at)
        size = high << 8 | low
        if size > most:
            raise ProtocolError("a frame that is too long")
        begin = at + HEAD_BYTES
        if end - begin < size:
            break
        at = begin + size
        found.append(Frame(kind, flags, stream & LAST_STREAM, received[begin:at]))
    return found, received[at:]


def without_padding(got: Frame) -> bytes:
    """What a frame of data or headers holds beside its padding and its priority."""
    body, end = got.body, len(got.body)
    begin = 0
    if got.flags & PADDED:
        if not body:
            raise ProtocolError("padding without its length")
        begin, end = 1, end - body[0]
    if got.kind == HEADERS and got.flags & PRIORITY:
        begin += 5
    if begin > end:
        raise ProtocolError("more padding than there is room")
    return body[begin:end] if (begin, end) != (0, len(body)) else body


def header_frames(stream: int, block: bytes, most: int) -> bytes:
    """The frames of a header block, behind which something follows."""
    if len(block) <= most:
        return frame(HEADERS, END_HEADERS, stream, block)
    parts = [block[at : at + most] for at in range(0, len(block), most)]
    first = frame(HEADERS, 0, stream, parts[0])
    middle = [frame(CONTINUATION, 0, stream, part) for part in parts[1:-1]]
    return b"".join([first, *middle, frame(CONTINUATION, END_HEADERS, stream, parts[-1])])


def literal(name: bytes, value: bytes) -> bytes:
    """A header in a block, which is not to be remembered on the way (RFC 7541, section 6.2.3)."""
    return b"\x10" + _length(len(name)) + name + _length(len(value)) + value


def _length(size: int) -> bytes:
    """RFC 7541, section 5.1."""
    if size < _SEVEN_BITS:
        return bytes((size,))
    out, size = bytearray((_SEVEN_BITS,)), size - _SEVEN_BITS
    while size > _SEVEN_BITS:
        out.append(size & _SEVEN_BITS | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out)


class HeaderBlocks:
    """The header blocks of one connection, whose peer was told that nobody keeps a table for them.

    So a block means the same whenever it comes, and what it meant the last time need not be read again.
    """

    def __init__(self, most: int) -> None:
        """`most` is how many bytes all headers of a block may have."""
        self._decoder = hpack.Decoder(max_header_list_size=most)
        self._decoder.header_table_size = self._decoder.max_allowed_table_size = 0
        self._known: dict[bytes, Headers] = {}

    def read(self, block: bytes) -> Headers:
        """The headers in a block.

        Raises:
            ProtocolError: it is none, or they are too many.
        """
        known = self._known.get(block)
        if known is None:
            try:
                known = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
            except hpack.HPACKError as error:
                raise ProtocolError(str(error)) from error
            if len(self._known) == _BLOCKS:
                self._known.clear()
            self._known[block] = known
        return known
