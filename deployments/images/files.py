"""What an image file says of itself, read before a decoder sees it, and the file without all that pixels do not need.

Pillow reads comments, profiles and EXIF data in Python: some take time that grows with the square of their number, each
profile may unfold to a megabyte, and a progressive JPEG is decoded once for every scan. So a file of a few megabytes
could keep a core busy for minutes. Here such parts are left out or counted.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from deployments.errors import WrongInput

SIGNATURE = 12
"""How many bytes at the start tell the kind of a file."""

_KINDS = {
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "WEBP": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "GIF": re.compile(rb"GIF8[79]a"),
    "BMP": re.compile(rb"BM"),
}
_MAX_PARTS = 50_000
"""Chunks of a PNG or WebP file, segments of a JPEG file, blocks of a GIF file. With the smallest that are usual (255
bytes in GIF) this is more than 10 MB."""
_MAX_SCANS = 24
"""Of a JPEG file. libjpeg makes 10 for colour pictures, 18 for CMYK; how long each takes depends
on the pixels, not on its bytes."""

_ORIENTATION = 0x0112
_EXIF_MARK = b"Exif\0\0"

# Markers of JPEG.
_MARKER = re.compile(rb"\xff[\x01-\xfe]")
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xDA)}
_SCAN, _APP0, _APP1, _APP14 = 0xDA, 0xE0, 0xE1, 0xEE
# Introducers and a label of GIF blocks.
_EXTENSION, _FRAME, _CONTROL = 0x21, 0x2C, 0xF9

_CORE_HEADER = 12


@dataclass(frozen=True)
class ImageFile:
    """An image file: its kind by Pillow's name, `width` and `height` in pixels as stored, EXIF `orientation` (1 to 8).

    `data` is the file with no more in it than the pixels of its first frame need.
    """

    kind: str
    width: int
    height: int
    data: bytes
    orientation: int = 1


def kind(data: bytes | bytearray) -> str:
    """The kind of an image file, by its first bytes alone.

    Raises:
        WrongInput: it is of none that are taken.
    """
    for name, signature in _KINDS.items():
        if signature.match(data):
            return name
    raise WrongInput(f"not an image in one of the formats {', '.join(_KINDS)}")


def read(data: bytes) -> ImageFile:
    """Read the structure of an image file; the pixels stay untouched.

    Raises:
        WrongInput: it is not of a kind that is taken, is damaged, or has more parts than an image needs.
    """
    reader = _READERS[kind(data)]
    try:
        file = reader(data)
    except (struct.error, IndexError) as error:
        raise damaged() from error
    if file.width <= 0 or file.height <= 0:
        raise damaged()
    return file


def damaged() -> WrongInput:
    """The error for a file that cannot be decoded."""
    return WrongInput("the image is damaged: it cannot be decoded")


def orientation(exif: bytes) -> int:
    """The orientation that EXIF data states (TIFF 6.0, section 2; EXIF 3.0, section 4.6.5.1); 1 if it is broken."""
    exif = exif.removeprefix(_EXIF_MARK)
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * entries, 12):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, entry)
            if tag == _ORIENTATION:
                return value if value in range(1, 9) else 1
    except struct.error:
        pass
    return 1


def _jpeg(data: bytes) -> ImageFile:
    """ITU-T T.81, annex B: segments up to the first scan. JFIF's and Adobe's say how colours are stored."""
    parts, size, turned = [data[:2]], (0, 0), 1
    for marker, segment in _segments(data):
        if _frame_header(marker):
            if any(size):
                raise damaged()
            size = struct.unpack_from(">HH", segment, 5)
        elif marker == _APP1 and turned == 1 and segment.startswith(_EXIF_MARK, 4):
            turned = orientation(segment[4:])
        if marker < _APP0 or (marker, segment[4:9]) in {(_APP0, b"JFIF\0"), (_APP14, b"Adobe")}:
            parts.append(segment)
    if parts[-1].count(b"\xff\xda") > _MAX_SCANS:
        raise _too_many_parts()
    height, width = size
    return ImageFile("JPEG", width, height, b"".join(parts), turned)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers and their segments, the marker included; last the first scan with all that follows."""
    position = 2
    for _ in range(_MAX_PARTS):
        found = _MARKER.search(data, position)
        if found is None:
            raise damaged()
        start, marker = found.start(), data[found.start() + 1]
        if marker == _SCAN:
            yield marker, data[start:]
            return
        position = found.end()
        if marker not in _WITHOUT_LENGTH:
            position = start + 2 + struct.unpack_from(">H", data, start + 2)[0]
            yield marker, data[start:position]
    raise _too_many_parts()


def _frame_header(marker: int) -> bool:
    return marker in range(0xC0, 0xD0) and marker not in {0xC4, 0xC8, 0xCC}


def _png(data: bytes) -> ImageFile:
    """PNG specification, third edition, sections 5.3 and 11.2: chunks of length, type, content and checksum."""
    width, height = struct.unpack_from(">II", data, 16)
    parts, turned, position = [data[:8]], 1, 8
    for _ in range(_MAX_PARTS):
        (length,) = struct.unpack_from(">I", data, position)
        chunk = data[position : position + length + 12]
        if chunk[4:8] in {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}:
            parts.append(chunk)
        elif chunk[4:8] == b"eXIf":
            turned = orientation(chunk[8:-4])
        position += len(chunk)
        if chunk[4:8] == b"IEND" or position >= len(data):
            return ImageFile("PNG", width, height, b"".join(parts), turned)
    raise _too_many_parts()


def _webp(data: bytes) -> ImageFile:
    """RFC 9649, section 2, and RFC 6386, section 9.1. libwebp reads the file itself, and fast."""
    first = data[12:16]
    if first == b"VP8X":
        width, height = (1 + int.from_bytes(data[start : start + 3], "little") for start in (24, 27))
        return ImageFile("WEBP", width, height, data, _webp_orientation(data))
    if first == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return ImageFile("WEBP", 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), data)
    if first == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return ImageFile("WEBP", width & 0x3FFF, height & 0x3FFF, data)
    raise damaged()


def _webp_orientation(data: bytes) -> int:
    position = 12
    for _ in range(_MAX_PARTS):
        if position + 8 > len(data):
            return 1
        (length,) = struct.unpack_from("<I", data, position + 4)
        if data[position : position + 4] == b"EXIF":
            return orientation(data[position + 8 : position + 8 + length])
        position += 8 + length + length % 2
    raise _too_many_parts()


def _gif(data: bytes) -> ImageFile:
    """GIF89a specification, sections 17 to 26: the first frame with its graphic control, without all other blocks."""
    screen_width, screen_height = struct.unpack_from("<HH", data, 6)
    position = 13 + _color_table(data[10])
    parts, control = [data[:position]], b""
    for _ in range(_MAX_PARTS):
        start, introducer = position, data[position]
        if introducer == _EXTENSION:
            position = _after_blocks(data, start + 2)
            if data[start + 1] == _CONTROL:
                control = data[start:position]
        elif introducer == _FRAME:
            left, top, width, height, flags = struct.unpack_from("<HHHHB", data, start + 1)
            end = _after_blocks(data, start + 11 + _color_table(flags))
            frame = b"".join([*parts, control, data[start:end], b";"])
            return ImageFile("GIF", max(screen_width, left + width), max(screen_height, top + height), frame)
        else:
            raise damaged()
    raise _too_many_parts()


def _color_table(flags: int) -> int:
    """The length of the table of colours that a screen or frame with these flags has."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: bytes, position: int) -> int:
    """The end of data blocks, each of which starts with its length; one without data is the last."""
    for _ in range(_MAX_PARTS):
        length = data[position]
        position += 1 + length
        if length == 0:
            return position
    raise _too_many_parts()


def _bmp(data: bytes) -> ImageFile:
    """BITMAPCOREHEADER and BITMAPINFOHEADER with its successors, as Windows documents them."""
    (header,) = struct.unpack_from("<I", data, 14)
    if header == _CORE_HEADER:
        width, height = struct.unpack_from("<HH", data, 18)
        return ImageFile("BMP", width, height, data)
    width, height, _, _, compression = struct.unpack_from("<iiHHI", data, 18)
    if compression not in {0, 3}:
        raise WrongInput("BMP images with compression are not taken")
    return ImageFile("BMP", width, abs(height), data)


def _too_many_parts() -> WrongInput:
    return WrongInput("the image file has more parts than an image needs: chunks, segments, blocks or scans")


_READERS: dict[str, Callable[[bytes], ImageFile]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "GIF": _gif,
    "BMP": _bmp,
}
