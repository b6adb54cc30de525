"""How gRPC writes messages and bytes."""

from __future__ import annotations

import pytest

from serve_app.protocol import grpc_framing


def test_a_prefix() -> None:
    assert grpc_framing.prefix_of(b"\0\0\0\1\2rest") == (False, 258)
    assert grpc_framing.prefix_of(b"\1\xff\xff\xff\xff") == (True, 2**32 - 1)
    assert grpc_framing.framed(b"abc") == b"\0\0\0\0\3abc"
    with pytest.raises(ValueError, match="begins with 0 or 1, and not with 80"):
        grpc_framing.prefix_of(b"POST ")
    with pytest.raises(ValueError, match="there is no message"):
        grpc_framing.prefix_of(b"\0\0\0\1")


@pytest.mark.parametrize("length", range(7))
def test_bytes_come_back_with_and_without_padding(length: int) -> None:
    value = bytes(range(250, 250 + length)) if length < 6 else b"\0" * length
    header = grpc_framing.header_of("a-bin", value)
    assert not header.endswith(b"=")
    assert grpc_framing.bytes_of_header(header) == value
    assert grpc_framing.bytes_of_header(header + b"=" * (-len(header) % 4)) == value


@pytest.mark.parametrize("header", [b"A", b"AA=A", b"A-_A", b"\xff"])
def test_what_is_no_base64_is_refused(header: bytes) -> None:
    with pytest.raises(ValueError, match="expected base64"):
        grpc_framing.bytes_of_header(header)
