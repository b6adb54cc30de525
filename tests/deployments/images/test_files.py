"""The structure of image files: what they say of themselves, and what is left out before they are decoded."""

from __future__ import annotations

import struct

import pytest

from deployments.errors import WrongInput
from deployments.images import files
from tests.support import hostile_images as hostile

SECRET = b"what no decoder has to see"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_the_kind_and_size_of_a_file_are_those_that_were_written(kind: str) -> None:
    data = hostile.encoded(kind, (33, 21))
    file = files.read(data)
    assert (file.kind, file.width, file.height, file.orientation) == (kind, 33, 21, 1)
    assert files.kind(data[: files.SIGNATURE]) == kind


@pytest.mark.parametrize("options", [{"lossless": True}, {"exif": b"Exif\0\0" + hostile.exif(1)}])
def test_each_layout_of_webp_states_its_size(options: dict[str, object]) -> None:
    file = files.read(hostile.encoded("WEBP", (300, 17), **options))
    assert (file.width, file.height) == (300, 17)


@pytest.mark.parametrize(
    "data",
    [
        hostile.with_segments(hostile.segment(0xFE, SECRET), hostile.segment(0xE2, b"ICC_PROFILE\0" + SECRET)),
        hostile.with_segments(hostile.segment(0xE1, b"Exif\0\0" + SECRET), hostile.segment(0xE0, b"JFXX\0" + SECRET)),
        hostile.with_chunks(hostile.chunk(b"tEXt", SECRET), hostile.chunk(b"prVt", SECRET)),
        hostile.with_blocks(b"\x21\xfe" + bytes([len(SECRET)]) + SECRET + b"\0"),
        hostile.encoded("GIF") + SECRET,
    ],
    ids=["JPEG comment and profile", "JPEG EXIF and thumbnail", "PNG text", "GIF comment", "GIF end"],
)
def test_what_pixels_do_not_need_is_left_out(data: bytes) -> None:
    assert SECRET in data
    assert SECRET not in files.read(data).data


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("turn", range(10))
def test_the_orientation_is_read_in_both_byte_orders(order: str, turn: int) -> None:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    exif = mark + struct.pack(f"{order}IHHHIHHI", 8, 1, 0x0112, 3, 1, turn, 0, 0)
    assert files.orientation(exif) == files.orientation(b"Exif\0\0" + exif) == (turn if 1 <= turn <= 8 else 1)


@pytest.mark.parametrize("exif", [b"", b"II", b"II*\0", b"II*\0\xff\xff\xff\xff", b"nonsense", hostile.exif(9)[:40]])
def test_broken_exif_data_is_as_none(exif: bytes) -> None:
    assert files.orientation(exif) == 1


def test_as_many_scans_as_encoders_make_are_taken_and_no_more() -> None:
    honest = hostile.progressive(0, 16, 16).count(b"\xff\xda")
    assert files.read(hostile.progressive(24 - honest, 16, 16)).width == 16
    with pytest.raises(WrongInput, match="more parts than an image needs"):
        files.read(hostile.progressive(25 - honest, 16, 16))


@pytest.mark.parametrize("data", [b"B", b"GIF88a" + bytes(9), b"RIFF\0\0\0\0WAVE" + bytes(9), b"\x89PNG\r\n\x1a", b""])
def test_no_other_first_bytes_are_an_image(data: bytes) -> None:
    with pytest.raises(WrongInput, match="not an image in one of the formats JPEG, PNG, WEBP, GIF, BMP"):
        files.kind(data)
