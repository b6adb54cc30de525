"""Both sides of CLIP against what transformers computes."""

from __future__ import annotations

from typing import Any

import numpy as np

TEXT = "starter/clip-shapes-text"
VISION = "starter/clip-shapes-vision"


def test_captions_equal_transformers(embed_with: Any, provider: str, references: Any) -> None:
    embeddings = embed_with(TEXT, provider=provider)(references["captions"])
    assert np.abs(embeddings.vectors.rows - references["clip_text"]).max() < 1e-4
    assert embeddings.tokens.max() == 77
    assert embeddings.truncated == 1


def test_images_equal_transformers(embed_with: Any, provider: str, references: Any) -> None:
    embeddings = embed_with(VISION, provider=provider)(references["images"])
    assert np.abs(embeddings.vectors.rows - references["clip_vision"]).max() < 1e-4


def test_an_image_counts_its_patches_and_the_class_token(embed_with: Any, references: Any) -> None:
    assert embed_with(VISION)(references["images"]).tokens.tolist() == [7 * 7 + 1] * 3


def test_a_caption_alone_equals_the_same_caption_in_a_padded_batch(embed_with: Any, references: Any) -> None:
    embed = embed_with(TEXT)
    together = embed(references["captions"], budget=10**6).vectors.rows
    alone = np.stack([embed([caption]).vectors[0] for caption in references["captions"]])
    assert np.abs(together - alone).max() < 1e-5


def test_a_drawing_is_nearest_to_its_caption(embed_with: Any, references: Any) -> None:
    disc = embed_with(VISION)(references["images"][:1]).vectors[0]
    captions = ["a green star on black", "a red circle on a white background", "a blue square on white"]
    assert (embed_with(TEXT)(captions).vectors.rows @ disc).argmax() == 1
