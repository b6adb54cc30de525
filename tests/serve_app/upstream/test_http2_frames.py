"""Frames and header blocks, beside the libraries `hyperframe` and `hpack`."""

from __future__ import annotations

import hpack
import hyperframe.frame as reference
import pytest

from serve_app.upstream import http2_frames as h2
from serve_app.upstream.http2_frames import Frame, HeaderBlocks, ProtocolError

HEADERS = [
    (b":status", b"200"),
    (b"content-type", b"application/grpc"),
    (b"x-long", b"y" * 5000),
    (b"grpc-status", b"0"),
]


def parsed(data: bytes) -> list[reference.Frame]:
    """Frames, as another implementation reads them."""
    found = []
    while data:
        one, size = reference.Frame.parse_frame_header(memoryview(data[:9]))
        one.parse_body(memoryview(data[9 : 9 + size]))
        data = data[9 + size :]
        found.append(one)
    return found


def test_frames_are_those_of_the_protocol() -> None:
    data = h2.frame(h2.DATA, h2.END_STREAM, 7, b"abc")
    data += h2.settings([(h2.INITIAL_WINDOW_SIZE, 2**31 - 1), (h2.ENABLE_PUSH, 0)])
    data += h2.frame(h2.WINDOW_UPDATE, 0, 0, h2.number(5)) + h2.frame(h2.RST_STREAM, 0, 9, h2.number(h2.CANCEL))
    body, settings, window, reset = parsed(data)
    assert (body.stream_id, body.data, body.flags) == (7, b"abc", {"END_STREAM"})
    assert settings.settings == {4: 2**31 - 1, 2: 0}
    assert (window.stream_id, window.window_increment) == (0, 5)
    assert (reset.stream_id, reset.error_code) == (9, 8)


@pytest.mark.parametrize("cut", [0, 1, 8, 9, 10, 25, 10_000])
def test_frames_are_taken_when_they_are_whole(cut: int) -> None:
    sent = [Frame(h2.DATA, 0, 1, b"a" * 10), Frame(h2.PING, h2.ACK, 0, b"12345678"), Frame(h2.DATA, 1, 3, b"")]
    data = b"".join(h2.frame(*one) for one in sent)
    first, rest = h2.frames(data[:cut], 100)
    second, left = h2.frames(rest + data[cut:], 100)
    assert (first + second, left) == (sent, b"")


def test_a_frame_that_is_too_long_is_refused_by_its_head() -> None:
    with pytest.raises(ProtocolError, match="too long"):
        h2.frames(h2.frame(h2.DATA, 0, 1, b"a" * 101)[:9], 100)


@pytest.mark.parametrize("priority", [False, True])
@pytest.mark.parametrize("padding", [None, 0, 3, 255])
def test_padding_and_priority_are_left_out(padding: int | None, priority: bool) -> None:
    flags = set() if padding is None else {"PADDED"}
    flags |= {"PRIORITY"} if priority else set()
    one = reference.HeadersFrame(1, b"block", pad_length=padding or 0, flags=list(flags))
    (got,), _ = h2.frames(one.serialize(), 1000)
    assert h2.without_padding(got) == b"block"


@pytest.mark.parametrize("body", [b"", b"\x05abcd", b"\xff"])
def test_padding_that_cannot_be_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        h2.without_padding(Frame(h2.DATA, h2.PADDED, 1, body))


@pytest.mark.parametrize("length", [0, 1, 126, 127, 128, 254, 255, 256, 16_510, 70_000])
def test_a_literal_is_one_and_is_not_to_be_remembered(length: int) -> None:
    ((name, value),) = hpack.Decoder(max_header_list_size=10**6).decode(h2.literal(b"x-name", b"v" * length), raw=True)
    assert (name, value) == (b"x-name", b"v" * length)
    assert h2.literal(b"a", b"b")[0] == 0x10, "never indexed"


@pytest.mark.parametrize("most", [20, 100, 5100])
def test_a_long_header_block_goes_on(most: int) -> None:
    block = b"".join(h2.literal(*pair) for pair in HEADERS)
    found, _ = h2.frames(h2.header_frames(3, block, most), 10_000)
    assert b"".join(one.body for one in found) == block
    assert [one.kind for one in found] == [h2.HEADERS, *[h2.CONTINUATION] * (len(found) - 1)]
    assert [one.flags for one in found] == [*[0] * (len(found) - 1), h2.END_HEADERS]
    assert all(len(one.body) <= most for one in found)


@pytest.mark.parametrize("huffman", [False, True])
def test_blocks_are_read_as_another_implementation_writes_them(huffman: bool) -> None:
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    blocks = HeaderBlocks(10_000)
    for _ in range(2):
        assert blocks.read(encoder.encode(HEADERS, huffman=huffman)) == HEADERS


def test_no_more_blocks_are_remembered_than_a_few() -> None:
    blocks = HeaderBlocks(10_000)
    for n in range(1000):
        assert blocks.read(h2.literal(b"n", b"%d" % n)) == [(b"n", b"%d" % n)]
    assert len(blocks._known) <= 256


@pytest.mark.parametrize(
    "block",
    [
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff",  # an index that nothing has
        b"\xbe",  # the first of a table that nobody keeps
        b"\x3f\xe1\x1f",  # a table, which was not allowed
        b"\x10\x05ab",  # it ends too early
        h2.literal(b"a", b"b" * 20_000),  # more than anybody needs
    ],
)
def test_a_block_that_is_none_is_refused(block: bytes) -> None:
    with pytest.raises(ProtocolError):
        HeaderBlocks(10_000).read(block)


def test_numbers_and_settings_are_whole() -> None:
    assert h2.number_of(b"\x80\x00\x00\x05") == 5
    with pytest.raises(ProtocolError):
        h2.number_of(b"\x00\x00\x05")
    with pytest.raises(ProtocolError):
        h2.settings_of(b"\x00\x01\x00")
