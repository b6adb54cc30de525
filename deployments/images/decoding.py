"""From an image file's bytes to the square of pixels that a model takes.

The numbers are those of Hugging Face's CLIPImageProcessor or SiglipImageProcessor before they scale and normalize, to
within 1 of 255. For a JPEG that is decoded at reduced scale they are so on average; single pixels at sharp edges differ
by up to 20.
"""

from __future__ import annotations

import base64
import io
import math
import re

import numpy as np
from PIL import Image

from deployments.catalogue.card import ImageLimits, ImageShape
from deployments.contract import Pixels, Resample
from deployments.errors import WrongInput
from deployments.images import files

_AS_FOR_CLIP = ImageShape()
_PLAIN = str.maketrans("-_", "+/", " \t\r\n")
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_SIDES = 3
"""A JPEG is decoded at a half, quarter or eighth of its size as long as its short side stays this many times the
model's. That changes the pixels by 0.3 of 255 on average, a sixth of what saving a picture as JPEG does to them."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By EXIF orientation, how to turn what is stored."""
_RESAMPLING: dict[Resample, Image.Resampling] = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
}
_ON_ITS_SIDE = {5, 6, 7, 8}
"""Orientations in which width and height change places."""
_RIGHT_TO_LEFT = {2, 3, 6, 7}
_BOTTOM_TO_TOP = {3, 4, 7, 8}
"""Orientations in which, once the image is upright, what was stored last is on the left, or on top."""


def from_base64(text: str, max_bytes: int) -> bytes:
    """The bytes of a base64 text (RFC 4648), with or without `data:...;base64,`.

    Either alphabet is read (section 4, or 5 for URLs and file names), padded or not, in lines or not: what tools print.

    Raises:
        WrongInput: the text is not base64, or too long for `max_bytes`.
    """
    prefix = _DATA_URL.match(text)
    encoded = (text[prefix.end() :] if prefix else text).translate(_PLAIN).rstrip("=")
    _check_bytes(len(encoded) * 3 // 4, max_bytes)
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError as error:
        raise WrongInput("the image is neither an http(s) URL nor valid base64") from error


def decode(data: bytes, size: int, limits: ImageLimits, shape: ImageShape = _AS_FOR_CLIP) -> Pixels:
    """Decode an image file and make it uint8 `[size, size, 3]`, RGB: the first frame, turned as its EXIF data says.

    Raises:
        WrongInput: over the limits (looked up in the file's header, before anything is decoded), no image of a kind
            that is taken, or broken.
    """
    _check_bytes(len(data), limits.max_bytes)
    file = files.read(data)
    _check_pixels(file, size, limits, shape)
    # Pillow's decoders raise whatever a broken file makes them stumble over.
    try:
        return _square(file, size, shape)
    except Exception as error:
        raise files.damaged() from error


def _check_bytes(count: int, most: int) -> None:
    if count > most:
        raise WrongInput(f"the image has {count} bytes; at most {most} are allowed (max_bytes)")


def _check_pixels(file: files.ImageFile, size: int, limits: ImageLimits, shape: ImageShape) -> None:
    """Look at the size that the header states. Over its own limit, Pillow would warn whoever listens.

    A long thin image is small in the file, but not once it is resized.
    """
    most = min(limits.max_pixels, Image.MAX_IMAGE_PIXELS or limits.max_pixels)
    if file.width * file.height > most:
        raise WrongInput(
            f"the image has {file.width} x {file.height} pixels; at most {most} in all are allowed (max_pixels)"
        )
    if math.prod(_resized(file.width, file.height, size, shape)) > most:
        raise WrongInput(
            f"the image of {file.width} x {file.height} pixels is too long and thin: resized, it has over {most} "
            "(max_pixels)"
        )


def _resized(width: float, height: float, size: int, shape: ImageShape) -> tuple[int, int]:
    """Width and height once the short side is `size`; the long one is rounded down, as torchvision's Resize does.

    Of a picture that is stretched, both are.
    """
    if shape.fit == "stretch":
        return size, size
    short = min(width, height)
    return int(size * width // short), int(size * height // short)


def _square(file: files.ImageFile, size: int, shape: ImageShape) -> Pixels:
    """Resize the upright image and take the centre."""
    image, box = _upright(file, size)
    sides = _resized(box[2] - box[0], box[3] - box[1], size, shape)
    image = image.resize(sides, _RESAMPLING[shape.resample], box)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return np.asarray(image.crop((left, top, left + size, top + size)))


def _upright(file: files.ImageFile, size: int) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """The decoded image, and where in it the picture lies.

    At a quarter of its size, a picture 4001 pixels wide has 1001 pixels, the last of which stands for one and not four.
    """
    stored = Image.open(io.BytesIO(file.data), formats=(file.kind,))
    if stored.size != (file.width, file.height):
        raise ValueError("the decoder sees another size than was checked")
    drafted = stored.draft(None, (_SIDES * size, _SIDES * size))
    width, height = drafted[1][2:] if drafted else stored.size
    image = _rgb(stored)
    turn = _TURNS.get(file.orientation)
    if turn is not None:
        image = image.transpose(turn)
    if file.orientation in _ON_ITS_SIDE:
        width, height = height, width
    left = image.width - width if file.orientation in _RIGHT_TO_LEFT else 0
    top = image.height - height if file.orientation in _BOTTOM_TO_TOP else 0
    return image, (left, top, left + width, top + height)


def _rgb(image: Image.Image) -> Image.Image:
    """The image in RGB, on white if it is transparent.

    White is what CLIPImageProcessor puts below; to drop the alpha channel instead would show whatever colour an
    encoder left in pixels that nobody was to see.
    """
    if image.mode.startswith("I;16"):
        # Pillow would clip 16-bit grey at 255 instead of scaling it.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white
