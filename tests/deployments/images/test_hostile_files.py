"""Hostile and broken image files: an error of the caller's or pixels, soon, and in bounded memory."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deployments.catalogue.card import ImageLimits
from deployments.catalogue.catalogue import HOME
from deployments.errors import WrongInput
from deployments.images.decoding import decode
from tests.support import hostile_images as hostile

EXIF = b"Exif\0\0" + hostile.exif(3)


def varied(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    """A small file with many colours."""
    bands = [Image.linear_gradient("L"), Image.radial_gradient("L"), Image.linear_gradient("L").rotate(90)]
    buffer = io.BytesIO()
    Image.merge("RGB", bands).resize((40, 30)).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


KINDS = {
    "JPEG": varied("JPEG", exif=EXIF),
    "progressive JPEG": varied("JPEG", progressive=True),
    "CMYK JPEG": varied("JPEG", "CMYK"),
    "PNG": varied("PNG", exif=EXIF),
    "palette PNG": varied("PNG", "P"),
    "WebP": varied("WEBP", exif=EXIF),
    "lossless WebP": varied("WEBP", lossless=True),
    "animated WebP": hostile.animation("WEBP", 3),
    "GIF": hostile.animation("GIF", 3),
    "large GIF": varied("GIF"),
    "BMP": varied("BMP"),
}
SECONDS = 5.0
"""For one file, of up to 16 megapixels, on a busy machine; the dearest takes half a second."""


@pytest.fixture(scope="module")
def outcomes() -> dict[str, tuple[float, str]]:
    """By the file's name, how long it took and what became of it, in a process of its own that has little memory."""
    command = [sys.executable, "-W", "error", "-m", "tests.support.hostile_images"]
    run = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stderr
    rows = (line.split("\t") for line in run.stdout.splitlines())
    return {name: (float(seconds), result) for name, seconds, result in rows}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded as Linux does it")
class TestTheCorpus:
    @pytest.mark.parametrize("name", hostile.REFUSED)
    def test_a_hostile_file_is_refused_soon(self, outcomes: dict[str, tuple[float, str]], name: str) -> None:
        seconds, result = outcomes[name]
        assert result not in {"decoded", "out of memory"}
        assert seconds < SECONDS

    @pytest.mark.parametrize("name", hostile.TAKEN)
    def test_what_is_odd_around_good_pixels_does_no_harm(
        self, outcomes: dict[str, tuple[float, str]], name: str
    ) -> None:
        seconds, result = outcomes[name]
        assert result == "decoded"
        assert seconds < SECONDS


def decodes(data: bytes) -> bool:
    """Whether a file is an image; anything but an image or an error of the caller's fails the test."""
    try:
        square = decode(data, 16, ImageLimits())
    except WrongInput:
        return False
    assert square.shape == (16, 16, 3)
    assert square.dtype == np.uint8
    return True


def flipped(data: bytes, count: int) -> Iterator[bytes]:
    """Copies of a file, each with a few bits flipped."""
    chance = random.Random(0)
    for _ in range(count):
        copy = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 8))):
            copy[chance.randrange(len(copy))] ^= 1 << chance.randrange(8)
        yield bytes(copy)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_off_anywhere_is_refused(kind: str) -> None:
    data = KINDS[kind]
    assert decodes(data)
    starts = [data[:length] for length in range(len(data))]
    # Without harm, only what stands at the very end or behind the first frame may be missing.
    assert not any(decodes(start) for start in starts[: len(data) // 3])
    if kind not in {"GIF", "animated WebP"}:
        assert not any(decodes(start) for start in starts[: len(data) - len(EXIF) - 30])


@pytest.mark.parametrize("kind", KINDS)
def test_flipped_bits_give_an_image_or_an_error_of_the_callers(kind: str) -> None:
    results = [decodes(copy) for copy in flipped(KINDS[kind], 400)]
    assert any(results)
    assert not all(results)


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_put_in_or_left_out_do_no_harm(kind: str) -> None:
    data, chance = KINDS[kind], random.Random(1)
    for _ in range(200):
        start, length = chance.randrange(len(data)), chance.randrange(1, 40)
        decodes(data[:start] + data[start + length :])
        decodes(data[:start] + chance.randbytes(length) + data[start:])
        decodes(data[:12] + chance.randbytes(length) + data[12 + length :])
