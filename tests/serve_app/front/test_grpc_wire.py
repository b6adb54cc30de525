"""What gRPC's headers, prefixes and statuses mean, in tables."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from serve_app.front import grpc_wire
from serve_app.front.grpc_wire import CallHead, call_head

OK = grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("headers", "metadata"),
    [
        ([(b"host", b"h"), (b"te", b"trailers"), (b"content-type", b"application/grpc")], []),
        ([(b"content-length", b"1"), (b"transfer-encoding", b"chunked"), (b"connection", b"close")], []),
        ([(b"x-qdrant-inference-protocol", b"grpc"), (b"grpc-accept-encoding", b"gzip"), (b"grpc-x", b"1")], []),
        ([(b"a", b"1"), (b"b", b""), (b"a", b"2, 3")], [("a", "1"), ("b", ""), ("a", "2, 3")]),
        ([(b"api-key", b"k"), (b"user-agent", b"me")], [("api-key", "k"), ("user-agent", "me")]),
        ([(b"x-bin", b"AP8")], [("x-bin", b"\0\xff")]),
        ([(b"x-bin", b"AP8=")], [("x-bin", b"\0\xff")]),
        ([(b"x-bin", b"AA, AQ==,Ag"), (b"x-bin", b"")], [("x-bin", one) for one in (b"\0", b"\1", b"\2", b"")]),
    ],
)
def test_metadata(headers: Any, metadata: Any) -> None:
    assert call_head(headers) == CallHead(metadata, None, "identity")


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("1H", 3600),
        ("2M", 120),
        ("3S", 3),
        ("40m", 0.04),
        ("5u", 5e-6),
        ("6n", 6e-9),
        ("0S", 0),
        ("99999999H", 99_999_999 * 3600),
    ],
)
def test_time(told: str, seconds: float) -> None:
    assert call_head([(b"grpc-timeout", told.encode()), (b"grpc-encoding", b"gzip")]) == CallHead(
        [], pytest.approx(seconds), "gzip"
    )


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        *((b"grpc-timeout", value, "grpc-timeout: expected at most 8 digits") for value in (b"", b"S", b"1", b"-1S")),
        *((b"grpc-timeout", value, "grpc-timeout: expected") for value in (b"1.5S", b"1s", b"123456789S", b"1 S")),
        *((b"grpc-timeout", value, "metadata 'grpc-timeout'") for value in ("1\xb2S".encode("latin-1"), b"1\tS")),
        (b"grpc-encoding", b"\xff", "metadata 'grpc-encoding': expected printable ASCII"),
        *(
            (b"a", value, "metadata 'a': expected printable ASCII")
            for value in (b"\xc3\xbc", b"a\0b", b"a\tb", b"\x7f")
        ),
        *(
            (b"x-bin", value, "metadata 'x-bin': expected base64")
            for value in (b"A", b"AA=A", b"A-_A", b"\xff", b"A A")
        ),
        (b"x-bin", b"AA,A", "metadata 'x-bin': expected base64"),
    ],
)
def test_headers_that_are_not_as_grpc_has_them(name: bytes, value: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        call_head([(name, value)])


@pytest.mark.parametrize(
    ("details", "message"),
    [
        ("it is full", b"it is full"),
        ("100% of ü", b"100%25 of %C3%BC"),
        ("a\r\ngrpc-status: 0", b"a%0D%0Agrpc-status: 0"),
        ("\0\t\x7f~☃", b"%00%09%7F~%E2%98%83"),
        ("half \udc00", b"half ?"),
        ("x" * 8000, b"x" * 8000),
        ("x" * 9000, b"x" * 2666),
        ("ü" * 5000, b"%C3%BC" * 1333),
        ("x" + "ü" * 5000, b"x" + b"%C3%BC" * 1332),
    ],
)
def test_details_are_a_header_whatever_they_are(details: str, message: bytes) -> None:
    assert grpc_wire.status_lines(grpc.StatusCode.NOT_FOUND, details) == [
        (b"grpc-status", b"5"),
        (b"grpc-message", message),
    ]


def test_trailing_metadata() -> None:
    metadata = [("a", "1"), ("a", ""), ("x-bin", b"\0\xff"), ("y-bin", "text"), ("b", b"as it is")]
    lines = [(b"a", b"1"), (b"a", b""), (b"x-bin", b"AP8"), (b"y-bin", b"dGV4dA"), (b"b", b"as it is")]
    assert grpc_wire.status_lines(OK, "", metadata) == [(b"grpc-status", b"0"), *lines]


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "ü", "a\0", b"\xff"])
def test_trailing_metadata_that_would_be_more_than_a_header(value: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"ASCII|ascii"):
        grpc_wire.status_lines(OK, "", [("a", value)])
