"""Drawings and captions."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from serve_app.demo.drawings import COLOURS, EVERYTHING, SHAPES, SIDE, THUMBNAIL_SIDE, Scene, encoded, scenes, thumbnail


def test_the_same_seed_gives_the_same_scenes_and_another_seed_gives_others() -> None:
    assert scenes(100, seed=1) == scenes(100, seed=1)
    assert scenes(100, seed=1) != scenes(100, seed=2)


def test_every_scene_has_a_caption_of_its_own() -> None:
    captions = {scene.caption for scene in EVERYTHING}
    assert len(captions) == len(EVERYTHING) == len(SHAPES) * len(COLOURS) * (len(COLOURS) - 1)


@pytest.mark.parametrize(
    ("scene", "caption"),
    [
        (Scene("circle", "red", "white"), "a red circle on a white background"),
        (Scene("ring", "orange", "cyan"), "an orange ring on a cyan background"),
        (Scene("arrow", "blue", "orange"), "a blue arrow on an orange background"),
    ],
)
def test_a_caption_names_colour_shape_and_background(scene: Scene, caption: str) -> None:
    assert scene.caption == caption


@pytest.mark.parametrize("shape", SHAPES)
def test_a_drawing_shows_a_shape_in_the_middle_on_a_plain_background(shape: str) -> None:
    pixels = np.asarray(Scene(shape, "red", "blue").draw())
    shown = (pixels == COLOURS["red"]).all(axis=2)
    assert pixels.shape == (SIDE, SIDE, 3)
    assert shown[SIDE // 2, SIDE // 2] == (shape != "ring")
    assert 0.01 < shown.mean() < 0.3
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert (edges == COLOURS["blue"]).all()


def test_all_shapes_look_different() -> None:
    assert len({Scene(shape, "red", "blue").draw().tobytes() for shape in SHAPES}) == len(SHAPES)


def test_an_encoded_drawing_is_a_png_of_the_same_pixels() -> None:
    drawing = Scene("star", "yellow", "black").draw()
    decoded = Image.open(io.BytesIO(base64.b64decode(encoded(drawing))))
    assert decoded.format == "PNG"
    assert decoded.tobytes() == drawing.tobytes()


def test_a_thumbnail_is_small_and_shows_the_same() -> None:
    scene = Scene("square", "red", "blue")
    data = thumbnail(scene.draw()).removeprefix("data:image/png;base64,")
    assert len(data) < 2000
    small = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
    assert small.size == (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
    middle, corner = small.getpixel((48, 48)), small.getpixel((2, 2))
    assert (middle, corner) == (COLOURS["red"], COLOURS["blue"])
