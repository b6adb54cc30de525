"""Image files that were made to harm who decodes them, built in code: by name, a function that makes the file.

Run as a program, it decodes all of them, with the limits that models have by default, and says how long each took and
what became of it.
"""

from __future__ import annotations

import io
import resource
import struct
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from deployments.catalogue.card import ImageLimits
from deployments.errors import WrongInput
from deployments.images.decoding import decode

MILLION = 1_000_000
LARGE = (4000, 4000)
SIDE = 224


def encoded(kind: str, size: tuple[int, int] = (64, 48), mode: str = "RGB", **options: Any) -> bytes:
    """An honest file: one plain colour."""
    buffer = io.BytesIO()
    Image.new(mode, size, 90).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, color: int = 2) -> bytes:
    """A PNG file with a header and some chunks."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND")


def with_chunks(*chunks: bytes) -> bytes:
    """An honest PNG file with more chunks before its pixels."""
    whole = encoded("PNG")
    return whole[:33] + b"".join(chunks) + whole[33:]


def segment(marker: int, body: bytes = b"") -> bytes:
    """A segment of a JPEG file."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def with_segments(*segments: bytes) -> bytes:
    """An honest JPEG file with more segments at its start."""
    whole = encoded("JPEG")
    return whole[:2] + b"".join(segments) + whole[2:]


def with_blocks(blocks: bytes) -> bytes:
    """An honest GIF file with more blocks before its frame."""
    whole = encoded("GIF")
    frame = whole.index(b"\x2c\0\0\0\0")
    return whole[:frame] + blocks + whole[frame:]


def stating_size(kind: str, width: int, height: int) -> bytes:
    """A small file whose header states a size of up to 65535 x 65535 pixels."""
    whole = bytearray(encoded(kind))
    if kind == "PNG":
        return png(width, height, chunk(b"IDAT", zlib.compress(bytes(100))))
    if kind == "JPEG":
        struct.pack_into(">HH", whole, whole.index(b"\xff\xc0") + 5, height, width)
    elif kind == "GIF":
        struct.pack_into("<HH", whole, 6, width, height)
    elif kind == "BMP":
        struct.pack_into("<ii", whole, 18, width, height)
    else:
        whole[12:12] = struct.pack("<4sIB3x", b"VP8X", 10, 0) + b"".join(
            (side - 1).to_bytes(3, "little") for side in (width, height)
        )
        struct.pack_into("<I", whole, 4, len(whole) - 8)
    return bytes(whole)


def gif_frame_beyond_the_screen() -> bytes:
    """A GIF file with a small screen and a frame of 60000 x 60000 pixels."""
    whole = bytearray(encoded("GIF"))
    struct.pack_into("<HH", whole, whole.index(b"\x2c\0\0\0\0") + 5, 60_000, 60_000)
    return bytes(whole)


def progressive(scans: int, width: int, height: int) -> bytes:
    """A JPEG file whose last scan comes again and again."""
    whole = encoded("JPEG", (width, height), "L", progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + last * scans + b"\xff\xd9"


def animation(kind: str, frames: int) -> bytes:
    """A file with many frames."""
    pictures = [Image.new("L", (8, 8), number % 256) for number in range(frames)]
    buffer = io.BytesIO()
    pictures[0].save(buffer, kind, save_all=True, append_images=pictures[1:], duration=10)
    return buffer.getvalue()


def bmp(width: int, height: int, compression: int, body: bytes) -> bytes:
    """A BMP file with 256 colours."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, compression, len(body), 0, 0, 256, 0)
    start = 14 + len(header) + 1024
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + header + bytes(1024) + body


def exif(entries: int, *, order: str = "<", start: int = 8, count: int = 1) -> bytes:
    """EXIF data with entries that all claim `count` bytes from the same place."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    tags = (struct.pack(f"{order}HHII", 1000 + entry, 7, count, 8) for entry in range(entries))
    return mark + struct.pack(f"{order}IH", start, entries) + b"".join(tags) + bytes(4)


def zipped() -> bytes:
    """A zip archive that holds far more than it is long."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(20_000_000))
    return buffer.getvalue()


PROFILE = chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(999_000), 9))
TEXT = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000), 9))
DIRECTORY = exif(5000, count=50_000) + bytes(60_000)

REFUSED: dict[str, Callable[[], bytes]] = {
    **{
        f"{kind} that states {width} x {height}": lambda kind=kind, size=(width, height): stating_size(kind, *size)  # type: ignore[misc]
        for kind, width, height in (
            *((kind, 65_000, 65_000) for kind in ("JPEG", "PNG", "GIF", "BMP")),
            ("WEBP", 16_383, 16_383),
            *((kind, 7000, 7000) for kind in ("PNG", "BMP", "WEBP")),
            *((kind, width, height) for kind in ("JPEG", "PNG", "BMP") for width, height in ((0, 9), (9, 0))),
        )
    },
    "PNG of one column": lambda: encoded("PNG", (1, 10_000_000), "L"),
    "PNG of one row": lambda: encoded("PNG", (10_000_000, 1), "L"),
    "PNG that states the most there is": lambda: png(2**31 - 1, 2**31 - 1, chunk(b"IDAT", zlib.compress(b""))),
    "PNG with a negative size": lambda: png(2**32 - 1, 2**32 - 1, chunk(b"IDAT", zlib.compress(b""))),
    "PNG with two headers": lambda: png(9, 9, chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))),
    "PNG with an unknown depth": lambda: png(9, 9, chunk(b"IDAT", zlib.compress(bytes(999))), depth=7),
    "PNG with a wrong checksum": lambda: encoded("PNG").replace(b"IDAT", b"IDAT\0"),
    "PNG with a chunk longer than the file": lambda: encoded("PNG")[:33] + struct.pack(">I4s", 2**31 - 1, b"IDAT"),
    "PNG without pixels": lambda: png(64, 48),
    "PNG with a zip archive for pixels": lambda: png(64, 48, chunk(b"IDAT", zipped())),
    "PNG of 100000 chunks": lambda: with_chunks(chunk(b"prVt") * 100_000),
    "PNG of 800000 empty parts of pixels": lambda: png(6999, 6999, chunk(b"IDAT") * 800_000),
    "JPEG of a million segments": lambda: with_segments(segment(0xFE) * MILLION),
    "JPEG of a million pieces of EXIF data": lambda: with_segments(segment(0xE1, b"Exif\0\0a") * 900_000),
    "JPEG of nothing but filling": lambda: b"\xff\xd8" + b"\xff" * 10_000_000,
    "JPEG of nothing but zeros": lambda: b"\xff\xd8\xff" + bytes(10_000_000),
    "JPEG with two sizes": lambda: with_segments(segment(0xC0, struct.pack(">BHHB9x", 8, 9, 9, 3))),
    "JPEG of 20000 scans": lambda: progressive(20_000, 6999, 6999),
    "JPEG without a scan": lambda: encoded("JPEG").partition(b"\xff\xda")[0],
    "JPEG with a segment longer than the file": lambda: b"\xff\xd8\xff\xe0\xff\xff",
    "GIF of a million comments": lambda: with_blocks(b"\x21\xfe\x01x\0" * MILLION),
    "GIF with a comment of a million parts": lambda: with_blocks(b"\x21\xfe" + b"\x01x" * MILLION + b"\0"),
    "GIF with a frame beyond its screen": gif_frame_beyond_the_screen,
    "GIF without a frame": lambda: encoded("GIF")[:13] + b";",
    "BMP with runs of one pixel": lambda: bmp(6999, 6999, 1, b"\x01\0" * 5_000_000),
    "BMP with runs over its end": lambda: bmp(6999, 6999, 1, b"\0\x02\xff\xff" * 1000),
    "BMP with half-byte runs": lambda: bmp(6999, 6999, 2, b"\xff\0" * 5_000_000),
    "BMP without pixels": lambda: bmp(6999, 6999, 0, b""),
    "BMP with a header of the wrong length": lambda: b"BM" + bytes(12) + struct.pack("<I", 2**32 - 1) + bytes(40),
    "WebP of a million chunks": lambda: stating_size("WEBP", 64, 48)[:30] + struct.pack("<4sI", b"junk", 0) * MILLION,
    "WebP without a picture": lambda: b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(10),
    "TIFF named image/jpeg": lambda: encoded("TIFF"),
    "PostScript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "SVG that includes a file": lambda: b'<svg><image href="file:///etc/passwd"/></svg>',
    "zip archive": zipped,
}
"""Files that are no images, or cost more than an image may."""

TAKEN: dict[str, Callable[[], bytes]] = {
    "JPEG of 16 megapixels": lambda: encoded("JPEG", LARGE, "CMYK"),
    "PNG of 16 megapixels": lambda: encoded("PNG", LARGE, "L"),
    "PNG of 16 megapixels with transparency": lambda: encoded("PNG", LARGE, "RGBA", compress_level=1),
    "WebP of 16 megapixels": lambda: encoded("WEBP", LARGE),
    "GIF of 16 megapixels": lambda: encoded("GIF", LARGE, "L"),
    "GIF that states 4000 x 4000": lambda: stating_size("GIF", *LARGE),
    "JPEG of 15 more scans": lambda: progressive(15, *LARGE),
    "PNG with 5000 profiles of a megabyte": lambda: with_chunks(PROFILE * 5000),
    "PNG with 5000 texts of a megabyte": lambda: with_chunks(TEXT * 5000),
    "PNG with EXIF data that repeats itself": lambda: with_chunks(chunk(b"eXIf", DIRECTORY)),
    "PNG with an animation that is none": lambda: with_chunks(chunk(b"acTL", bytes(8)), chunk(b"fcTL", bytes(26))),
    "JPEG with EXIF data that repeats itself": lambda: with_segments(segment(0xE1, b"Exif\0\0" + DIRECTORY[:65_000])),
    "JPEG with EXIF data that points outside": lambda: with_segments(segment(0xE1, b"Exif\0\0" + exif(9, start=2**31))),
    "JPEG with EXIF data of its own": lambda: with_segments(segment(0xE1, b"Exif\0\0" + exif(9, order=">"))),
    "JPEG with EXIF data that breaks off": lambda: with_segments(segment(0xE1, b"Exif\0\0" + exif(900)[:200])),
    "JPEG with EXIF data that is none": lambda: with_segments(segment(0xE1, b"Exif\0\0" + b"\xff" * 1000)),
    "JPEG with a broken list of pictures": lambda: with_segments(segment(0xE2, b"MPF\0" + exif(2000))),
    "JPEG with a broken profile": lambda: with_segments(segment(0xE2, b"ICC_PROFILE\0\xff\0" + bytes(60_000)) * 150),
    "JPEG with junk between segments": lambda: with_segments(segment(0xFE), bytes(9_000_000)),
    "GIF of 3000 frames": lambda: animation("GIF", 3000),
    "WebP of 3000 frames": lambda: animation("WEBP", 3000),
}
"""Files that an honest encoder might make, or that carry harm only in what is left out."""


ALLOWANCE = 300 << 20
"""How much memory the decoding of one of these files may take, in bytes; the largest have 16 megapixels."""


def outcome(data: bytes) -> str:
    """What becomes of a file: `decoded`, the error, or `out of memory`. Only for a process of its own, on Linux."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ALLOWANCE, resource.RLIM_INFINITY))
    try:
        decode(data, SIDE, ImageLimits())
    except WrongInput as error:
        return "out of memory" if isinstance(error.__cause__, MemoryError) else error.message
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return "decoded"


if __name__ == "__main__":
    for name, make in {**REFUSED, **TAKEN}.items():
        made = make()
        start = time.perf_counter()
        result = outcome(made)
        sys.stdout.write(f"{name}\t{time.perf_counter() - start:.3f}\t{result}\n")
