"""What all models and their references are given."""

from __future__ import annotations

import numpy as np

from deployments.contract import Pair

TEXTS = [
    "Recipe for baking chocolate chip cookies",
    "the capital of France is Paris",
    "a",
    "",
    "Crème brûlée 🍮 and 🤖 robots, naïve façade — \N{LEFT DOUBLE QUOTATION MARK}quoted\N{RIGHT DOUBLE QUOTATION MARK}",
    "巴黎是法国的首都。北京是中国的首都。",
    "عاصمة فرنسا هي باريس، وهي مدينة كبيرة.",
    "cafe\N{COMBINING ACUTE ACCENT} e\N{COMBINING DIAERESIS}\N{COMBINING CEDILLA} Å \N{COMBINING ACUTE ACCENT}alone",
    "a zero\0byte,\ttabs\r\nand  other\N{ZERO WIDTH SPACE}white \N{NO-BREAK SPACE} space ",
    "(a) [b] {c}: it's 100% -- *punctuation*; & more... #1 @home <tag/> ~x^2_y = \\z|",
    "Supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis",
    "The quick brown fox jumps over the lazy dog. " * 9,
    "Vectors are stored in collections, and points carry a payload with them. " * 40,
]
WORDS = [
    *TEXTS,
    "A store stores what it stored, storing stores",
    "Bats: a bat° and bats°bat for 5€, the-store's e-mail, 3.14 °",
    "only a bat°, lazy brown foxes and the quickest dog jumping over Paris's capitals",
    "[MASK] [UNK] un##able ## [SEP] vectors",
    f"{'long' * 12} word",
]
"""For models whose entries stand for words."""
CAPTIONS = [
    "a red circle on a white background",
    "two green stars on pink",
    "A   Large BLUE square",
    "",
    "a picture of an orange ring " * 20,
]
PAIRS = [
    *(Pair(TEXTS[1], text) for text in TEXTS),
    *(Pair(text, TEXTS[0]) for text in TEXTS),
    Pair(TEXTS[-2], TEXTS[-1]),
]
"""Documents for a query, queries for a document, and two that are too long both."""


def images(size: int) -> np.ndarray:
    """A red disc on white, a diagonal gradient, and black: uint8 `[3, size, size, 3]`."""
    rows, columns = np.mgrid[:size, :size]
    disc = np.full((size, size, 3), 255, np.uint8)
    disc[(rows - size // 2) ** 2 + (columns - size // 2) ** 2 < (0.27 * size) ** 2] = (220, 20, 30)
    gradient = (np.stack([rows, columns, (rows + columns) // 2], axis=-1) * 255 // size).astype(np.uint8)
    return np.stack([disc, gradient, np.zeros_like(disc)])
