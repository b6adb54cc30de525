"""From an image file's bytes to the square of pixels that a CLIP model takes.

The numbers are those of Hugging Face's CLIPImageProcessor before it scales and normalizes, to within 1 of 255.
"""

from __future__ import annotations

import base64
import io
import math
import re

import numpy as np
from PIL import Image, ImageOps

from deployments.catalogue import ImageLimits
from deployments.contract import Pixels
from deployments.errors import WrongInput

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)


def from_base64(text: str) -> bytes:
    """The bytes of a base64 text (RFC 4648, section 4, padded, no line breaks), with or without `data:...;base64,`.

    Raises:
        WrongInput: the text is not base64.
    """
    prefix = _DATA_URL.match(text)
    try:
        return base64.b64decode(text[prefix.end() :] if prefix else text, validate=True)
    except ValueError as error:
        raise WrongInput("the image is neither an http(s) URL nor valid base64") from error


def decode(data: bytes, size: int, limits: ImageLimits) -> Pixels:
    """Decode an image file and cut it to uint8 `[size, size, 3]`, RGB: the first frame, turned as its EXIF data says.

    Raises:
        WrongInput: over the limits (looked up in the file's header, before anything is decoded), no image of a kind
            that is taken, or broken.
    """
    if len(data) > limits.max_bytes:
        raise WrongInput(f"the image has {len(data)} bytes; at most {limits.max_bytes} are allowed")
    # Pillow's file parsers raise whatever a broken file makes them stumble over.
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except Exception as error:
        raise WrongInput(f"not an image in one of the formats {', '.join(_FORMATS)}") from error
    _check_pixels(image, size, limits)
    try:
        ImageOps.exif_transpose(image, in_place=True)
        return _square(_rgb(image), size)
    except Exception as error:
        raise WrongInput("the image is damaged: it cannot be decoded") from error


def _check_pixels(image: Image.Image, size: int, limits: ImageLimits) -> None:
    """Look at the size that the header states. A long thin image is small in the file, but not once it is resized."""
    width, height = image.size
    if width * height > limits.max_pixels:
        raise WrongInput(f"the image has {width} x {height} pixels; at most {limits.max_pixels} in all are allowed")
    if math.prod(_resized(width, height, size)) > limits.max_pixels:
        raise WrongInput(f"the image of {width} x {height} pixels is too long and thin")


def _rgb(image: Image.Image) -> Image.Image:
    """The image in RGB, on white where it is transparent.

    White is what CLIPImageProcessor puts below; to drop the alpha channel instead would show whatever colour an
    encoder left in pixels that nobody was to see.
    """
    if image.mode.startswith("I;16"):
        # Pillow would clip 16-bit grey at 255 instead of scaling it.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image).convert("RGB")


def _resized(width: int, height: int, size: int) -> tuple[int, int]:
    """Width and height once the short side is `size`; the long one is rounded down, as torchvision's Resize does."""
    short = min(width, height)
    return size * width // short, size * height // short


def _square(image: Image.Image, size: int) -> Pixels:
    """Resize the short side to `size` (bicubic) and take the centre."""
    resized = image.resize(_resized(*image.size, size), Image.Resampling.BICUBIC)
    left, top = (resized.width - size) // 2, (resized.height - size) // 2
    return np.asarray(resized.crop((left, top, left + size, top + size)))
