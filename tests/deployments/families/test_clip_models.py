"""What the starter CLIP does; its numbers are held against other software in tests/parity."""

from __future__ import annotations

from typing import Any

import pytest

from tests.parity.inputs import CAPTIONS, images

pytestmark = pytest.mark.slow

TEXT = "starter/clip-shapes-text"
VISION = "starter/clip-shapes-vision"


def test_captions_are_cut_at_the_context_window(embed_with: Any) -> None:
    embeddings = embed_with(TEXT)(CAPTIONS)
    assert embeddings.tokens.max() == 77
    assert embeddings.truncated == 1


def test_an_image_counts_its_patches_and_the_class_token(embed_with: Any) -> None:
    assert embed_with(VISION)(images(224)).tokens.tolist() == [7 * 7 + 1] * 3


def test_a_drawing_is_nearest_to_its_caption(embed_with: Any) -> None:
    disc = embed_with(VISION)(images(224)[:1]).vectors[0]
    captions = ["a green star on black", "a red circle on a white background", "a blue square on white"]
    assert (embed_with(TEXT)(captions).vectors.rows @ disc).argmax() == 1
