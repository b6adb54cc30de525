"""Drawn shapes and their captions: what the model clip-shapes knows, made from a seed.

A scene says what there is to see; its caption says it in words, its drawing shows it.
"""

from __future__ import annotations

import base64
import io
import math
import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

SIDE = 224
"""Width and height of a drawing in pixels: the square that the model sees."""

COLOURS = {
    "red": (220, 30, 30),
    "green": (40, 160, 60),
    "blue": (40, 80, 220),
    "yellow": (245, 220, 40),
    "orange": (245, 140, 30),
    "purple": (130, 50, 180),
    "pink": (250, 150, 190),
    "brown": (130, 80, 40),
    "black": (15, 15, 15),
    "white": (250, 250, 250),
    "gray": (130, 130, 130),
    "cyan": (60, 210, 220),
}
"""Red, green and blue of each colour, 0 to 255."""

Point = tuple[float, float]

_OVERSAMPLING = 2  # drawn larger and reduced, so that edges are smooth


@dataclass(frozen=True)
class Shape:
    """An outline around (0, 0) with y downwards, in units of the radius; the radius is a share of the drawing's side.

    The radii, and some proportions, were fitted to the model: of several that were tried with one half of all pairs of
    colours, these are where it takes a shape for another one least often (8% of all pairs of shapes; 9% with the other
    half). At sizes that were not fitted it sees colours as well, and confuses shapes about twice as often.
    """

    radius: float
    outline: tuple[Point, ...]
    hole: tuple[Point, ...] = ()


def _regular(corners: int, *radii: float, turn: float = 0) -> tuple[Point, ...]:
    """Corners on circles around the centre, the first at the top; `radii` take turns, `turn` is in radians."""
    angles = [turn + 2 * math.pi * corner / corners for corner in range(corners)]
    reach = [radii[corner % len(radii)] for corner in range(corners)]
    return tuple((r * math.sin(angle), -r * math.cos(angle)) for r, angle in zip(reach, angles, strict=True))


def _heart() -> tuple[Point, ...]:
    """The usual heart curve, 16 sin^3 t and 13 cos t - 5 cos 2t - 2 cos 3t - cos 4t, divided by 16."""
    turns = [2 * math.pi * step / 60 for step in range(60)]
    return tuple(
        (math.sin(t) ** 3, -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 16)
        for t in turns
    )


def _cross(arm: float) -> tuple[Point, ...]:
    """The corners of a cross whose arms are twice `arm` wide."""
    quarter = ((-arm, -1), (arm, -1), (arm, -arm))
    half = (*quarter, *((-y, x) for x, y in quarter))
    return (*half, *((-x, -y) for x, y in half))


_ROUND = 90
SHAPES = {
    "circle": Shape(0.27, _regular(_ROUND, 1)),
    "square": Shape(0.25, ((-1, -1), (1, -1), (1, 1), (-1, 1))),
    "triangle": Shape(0.21, _regular(3, 1)),
    "star": Shape(0.27, _regular(10, 1, 0.5)),
    "cross": Shape(0.33, _cross(0.33)),
    "ring": Shape(0.29, _regular(_ROUND, 1), hole=_regular(_ROUND, 0.55)),
    "diamond": Shape(0.23, ((0, -1), (0.6, 0), (0, 1), (-0.6, 0))),
    "heart": Shape(0.31, _heart()),
    "hexagon": Shape(0.29, _regular(6, 1, turn=math.pi / 6)),
    "arrow": Shape(0.15, ((-1, -0.3), (0.1, -0.3), (0.1, -0.8), (1, 0), (0.1, 0.8), (0.1, 0.3), (-1, 0.3))),
}


@dataclass(frozen=True)
class Scene:
    """One shape in the middle of a plain background."""

    shape: str
    colour: str
    background: str

    @property
    def caption(self) -> str:
        """What there is to see, such as "a green star on an orange background"."""
        shape, background = f"{self.colour} {self.shape}", f"{self.background} background"
        return f"{_article(shape)} {shape} on {_article(background)} {background}"

    def draw(self) -> Image.Image:
        """The drawing: RGB, `SIDE` x `SIDE` pixels."""
        side, shape = SIDE * _OVERSAMPLING, SHAPES[self.shape]
        image = Image.new("RGB", (side, side), COLOURS[self.background])
        pen = ImageDraw.Draw(image)
        for corners, colour in ((shape.outline, self.colour), (shape.hole, self.background)):
            if corners:
                pen.polygon([(side * (0.5 + shape.radius * p)) for corner in corners for p in corner], COLOURS[colour])
        return image.resize((SIDE, SIDE), Image.Resampling.BOX)


EVERYTHING = tuple(
    Scene(shape, colour, background)
    for shape in SHAPES
    for colour in COLOURS
    for background in COLOURS
    if background != colour
)
"""All scenes that there are."""


def scenes(number: int, seed: int) -> list[Scene]:
    """Different scenes, chosen at random."""
    return random.Random(seed).sample(EVERYTHING, number)  # noqa: S311  no secret


def encoded(image: Image.Image) -> str:
    """An image as PNG in base64."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


THUMBNAIL_SIDE = 96
_FEW_COLOURS = 16


def thumbnail(image: Image.Image) -> str:
    """A small picture of an image as a data URL, for the payload: some hundred bytes."""
    small = image.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX).quantize(_FEW_COLOURS)
    return f"data:image/png;base64,{encoded(small)}"


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
