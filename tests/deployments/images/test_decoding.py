"""Decoding images, compared with Hugging Face's CLIPImageProcessor."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from pydantic import ValidationError

from deployments.catalogue.card import PIXELS_OF_A_BOMB, ImageLimits, ImageShape
from deployments.contract import Pixels
from deployments.errors import WrongInput
from deployments.images import decoding
from deployments.images.decoding import decode, from_base64

LIMITS = ImageLimits()
STRETCH = ImageShape(fit="stretch")
FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP"]

REFERENCE = np.load(Path(__file__).parent / "clip_squares.npz")
"""By `WIDTHxHEIGHTxCHANNELS`, what transformers 5.23.0 makes of `picture`: the output, uint8 [32, 32, 3], of
CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, do_rescale=False,
do_normalize=False)."""

STRETCHED = np.load(Path(__file__).parent / "siglip_squares.npz")
"""By `WIDTHxHEIGHTxCHANNELSxRESAMPLE`, what SiglipImageProcessorPil of transformers 5.24.0 makes of it, as above, with
size={"height": 32, "width": 32}."""


def picture(width: int, height: int, channels: int = 3) -> Pixels:
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * (3 + c) + y * (7 - c) + x * y * (c + 1) // 5) % 256 for c in range(channels)]
    return np.stack(planes, axis=-1).astype(np.uint8)


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(color: tuple[int, ...], mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (40, 40), color)


@pytest.mark.parametrize("name", REFERENCE.files)
def test_pixels_equal_those_of_the_reference(name: str) -> None:
    width, height, channels = (int(part) for part in name.split("x"))
    square = decode(encode(Image.fromarray(picture(width, height, channels))), 32, LIMITS)
    assert square.shape == (32, 32, 3)
    assert square.dtype == np.uint8
    assert np.abs(square.astype(int) - REFERENCE[name]).max() <= 1


@pytest.mark.parametrize("name", STRETCHED.files)
def test_pixels_of_a_stretched_picture_equal_those_of_the_reference(name: str) -> None:
    *sides, resample = name.split("x")
    width, height, channels = map(int, sides)
    shape = ImageShape.model_validate({"fit": "stretch", "resample": resample})
    square = decode(encode(Image.fromarray(picture(width, height, channels))), 32, LIMITS, shape)
    assert np.abs(square.astype(int) - STRETCHED[name]).max() <= 1


def test_a_long_thin_picture_may_be_stretched() -> None:
    square = decode(encode(Image.new("RGB", (4000, 2), "red")), 32, ImageLimits(max_pixels=8000), STRETCH)
    assert square.shape == (32, 32, 3)


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_is_decoded(kind: str) -> None:
    square = decode(encode(plain((200, 40, 90)), kind), 16, LIMITS)
    assert np.abs(square.astype(int) - (200, 40, 90)).max() <= 8


def test_a_lossless_format_gives_the_same_pixels_as_another() -> None:
    image = Image.fromarray(picture(50, 70))
    squares = [decode(encode(image, kind, **options), 32, LIMITS) for kind, options in
               (("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True}))]  # fmt: skip
    assert all(np.array_equal(squares[0], square) for square in squares)


@pytest.mark.parametrize(
    ("image", "kind", "expected"),
    [
        (plain((130,), "L"), "PNG", (130, 130, 130)),
        (plain((1,), "1"), "PNG", (255, 255, 255)),
        (plain((200, 40, 90)).quantize(4), "PNG", (200, 40, 90)),
        (plain((200, 40, 90), "RGB").convert("CMYK"), "JPEG", (200, 40, 90)),
        (plain((100, 128, 128), "YCbCr"), "JPEG", (100, 100, 100)),
        (Image.fromarray(np.full((40, 40), 0x8140, dtype=np.uint16)), "PNG", (0x81, 0x81, 0x81)),
        (plain((200, 40, 90, 255), "RGBA"), "PNG", (200, 40, 90)),
        (plain((200, 40, 90, 0), "RGBA"), "PNG", (255, 255, 255)),
        (plain((0, 0, 0, 127), "RGBA"), "WEBP", (128, 128, 128)),
        (plain((50, 0), "LA"), "PNG", (255, 255, 255)),
    ],
    ids=["grey", "bilevel", "palette", "CMYK", "YCbCr", "16 bit", "opaque", "transparent", "half", "grey alpha"],
)
def test_each_mode_is_converted_with_white_behind_what_is_transparent(
    image: Image.Image, kind: str, expected: tuple[int, int, int]
) -> None:
    square = decode(encode(image, kind), 16, LIMITS)
    assert np.abs(square.astype(int) - expected).max() <= 6


def test_a_transparent_palette_entry_is_white() -> None:
    image = plain((200, 40, 90)).quantize(4)
    assert decode(encode(image, "GIF", transparency=image.getpixel((0, 0))), 16, LIMITS).min() == 255


def test_of_an_animation_the_first_frame_counts() -> None:
    frames = [plain((250, 0, 0)), plain((0, 250, 0))]
    square = decode(encode(frames[0], "GIF", save_all=True, append_images=frames[1:]), 16, LIMITS)
    assert square[8, 8].tolist() == [250, 0, 0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_image_is_turned_as_its_exif_data_says(kind: str) -> None:
    upright = picture(60, 40)
    upright[:20] = 255
    upright[20:] = 0
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter to the right
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(upright)))
    square = decode(encode(stored, kind, exif=exif), 16, LIMITS)
    assert square[:6].min() > 240
    assert square[10:].max() < 15


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("part", [0.01, 0.3, 0.7, 0.95])
def test_a_truncated_image_is_an_error(kind: str, part: float) -> None:
    data = encode(Image.fromarray(picture(90, 80)), kind)
    with pytest.raises(WrongInput, match=r"damaged|not an image"):
        decode(data[: int(len(data) * part)], 16, LIMITS)


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7 secret", b"GIF89a", bytes(5000)]
)
def test_what_is_no_image_is_an_error_that_does_not_quote_it(data: bytes) -> None:
    with pytest.raises(WrongInput) as caught:
        decode(data, 16, LIMITS)
    assert caught.value.message in {
        "not an image in one of the formats JPEG, PNG, WEBP, GIF, BMP",
        "the image is damaged: it cannot be decoded",
    }


@pytest.mark.parametrize("kind", ["TIFF", "ICO", "PPM", "TGA", "PDF"])
def test_other_formats_are_refused(kind: str) -> None:
    with pytest.raises(WrongInput, match=r"not an image in one of the formats"):
        decode(encode(plain((1, 2, 3)), kind), 16, LIMITS)


def png_header(width: int, height: int) -> bytes:
    """A PNG file that states a size, and has next to no data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_more_pixels_than_the_limit_are_refused_by_the_header_alone() -> None:
    with pytest.raises(WrongInput, match=r"the image has 8000 x 7000 pixels; at most 50000000 in all are allowed"):
        decode(png_header(8000, 7000), 16, LIMITS)


@pytest.mark.parametrize("size", [(30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(WrongInput):
        decode(png_header(*size), 16, LIMITS)


def test_an_image_that_would_grow_without_limit_when_resized_is_refused() -> None:
    with pytest.raises(WrongInput, match="too long and thin"):
        decode(png_header(1, 40_000_000), 224, LIMITS)


def test_more_bytes_than_the_limit_are_refused() -> None:
    data = encode(plain((1, 2, 3)))
    decode(data, 16, ImageLimits(max_bytes=len(data)))
    with pytest.raises(WrongInput, match=f"the image has {len(data)} bytes; at most {len(data) - 1} are allowed"):
        decode(data, 16, ImageLimits(max_bytes=len(data) - 1))


@pytest.mark.parametrize(
    "text",
    [
        "+/8Ac2VjcmV0\n",
        "+/8A\r\nc2Vj\r\ncmV0",
        "-_8Ac2VjcmV0",
        "data:;base64,+/8A c2Vj\tcmV0",
        "+/8Ac2VjcmV0ISE",
        "+/8Ac2VjcmV0ISE=",
    ],
)
def test_base64_is_taken_in_lines_url_safe_and_without_padding(text: str) -> None:
    assert from_base64(text, 100).startswith(b"\xfb\xff\x00secret")


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,", "DATA:;base64,", "data:image/png;charset=x;base64,"])
def test_base64_is_taken_with_and_without_a_data_prefix(prefix: str) -> None:
    encoded = prefix + base64.b64encode(b"\xfb\xff\x00secret").decode()
    assert from_base64(encoded, 100) == b"\xfb\xff\x00secret"


@pytest.mark.parametrize(
    "text", ["c2VjcmV0!", "c2Vjc", "c2Vj\x00cmV0", "c2Vj=cmV0", "c2VjcmV0é", "data:image/png,c2VjcmV0", "a==="]
)
def test_bad_base64_is_an_error_that_does_not_quote_it(text: str) -> None:
    with pytest.raises(WrongInput) as caught:
        from_base64(text, 100)
    assert caught.value.message == "the image is neither an http(s) URL nor valid base64"


@pytest.mark.parametrize("length", [8, 9, 10])
def test_base64_of_more_bytes_than_the_limit_is_refused_before_it_is_decoded(length: int) -> None:
    encoded = base64.b64encode(bytes(length)).decode()
    assert from_base64(encoded, length) == bytes(length)
    for text in (encoded, f"data:;base64,{encoded}", "!" * len(encoded)):
        with pytest.raises(WrongInput, match="bytes; at most 6 are allowed"):
            from_base64(text, 6)


def photo(width: int, height: int) -> Image.Image:
    """Something like a photograph: noise at several scales, edges, and a little noise of each pixel."""
    chance = np.random.default_rng(0)
    picture = np.full((height, width, 3), 128.0)
    for cells in (4, 16, 64, 256):
        noise = Image.fromarray(chance.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        picture += (np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC)) - 127.5) * (2 / cells**0.5)
    picture[height // 3 : height // 2, width // 4 : width // 2] = (240, 30, 30)
    y, x = np.mgrid[0:height, 0:width]
    picture[(x - width * 0.6) ** 2 + (y - height * 0.6) ** 2 < (height * 0.2) ** 2] = (20, 60, 220)
    return Image.fromarray(np.clip(picture + chance.normal(0, 3, (height, width, 1)), 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def large() -> Image.Image:
    """Sides that no power of two divides, so that a reduced picture ends within a pixel."""
    return photo(1607, 1203)


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_jpeg_at_reduced_scale_looks_as_it_does_at_full_scale(
    large: Image.Image, turn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encode(large, "JPEG", quality=90, exif=exif)
    reduced = decode(data, 64, LIMITS).astype(int)
    monkeypatch.setattr(JpegImageFile, "draft", lambda *_: None)
    difference = np.abs(reduced - decode(data, 64, LIMITS))
    assert 0 < difference.mean() < 0.5
    assert difference.max() <= 12
    # No corner is out of place.
    assert max(part.mean() for half in np.split(difference, 2) for part in np.split(half, 2, axis=1)) < 0.6


@pytest.mark.parametrize(
    ("size", "decoded"), [(400, (1607, 1203)), (200, (804, 602)), (100, (402, 301)), (9, (201, 151))]
)
def test_a_jpeg_is_reduced_only_while_it_stays_three_times_as_large_as_the_model_wants(
    large: Image.Image, size: int, decoded: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(decoding, "_rgb", lambda image: seen.append(image.size) or image.convert("RGB"))
    decode(encode(large, "JPEG"), size, LIMITS)
    assert seen == [decoded]


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("size", [(61, 40), (40, 61)])
def test_each_orientation_gives_what_pillow_makes_of_it(size: tuple[int, int], turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encode(Image.fromarray(picture(*size)), "PNG", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(decode(data, 16, LIMITS), decode(encode(upright, "PNG", exif=Image.Exif()), 16, LIMITS))


def test_a_catalogue_cannot_allow_what_pillow_takes_for_a_bomb() -> None:
    assert Image.MAX_IMAGE_PIXELS == PIXELS_OF_A_BOMB
    assert ImageLimits(max_pixels=PIXELS_OF_A_BOMB)
    with pytest.raises(ValidationError, match="less than or equal to 89478485"):
        ImageLimits(max_pixels=PIXELS_OF_A_BOMB + 1)


def test_the_pixel_limit_never_exceeds_pillows_own_which_only_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(plain((1, 2, 3)))
    assert Image.MAX_IMAGE_PIXELS is not None
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1600)
    decode(data, 16, LIMITS)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1599)
    with pytest.raises(WrongInput, match="40 x 40 pixels; at most 1599"):
        decode(data, 16, LIMITS)


def test_broken_files_are_not_completed() -> None:
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
