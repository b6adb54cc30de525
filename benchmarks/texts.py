"""The texts of all benchmarks: docstrings of Python's standard library, which every machine has."""

from __future__ import annotations

import random

from serve_app.demo.corpus import standard_library

_SEED = 0


def corpus(count: int) -> list[str]:
    """Texts of very different length, in an order that is the same on every run."""
    texts = [docstring.text for docstring in standard_library()]
    random.Random(_SEED).shuffle(texts)
    return texts[:count]


def queries(count: int) -> list[str]:
    """Short texts as people search with: the first words of docstrings, no two the same."""
    found = dict.fromkeys(" ".join(text.split()[:7]) for text in corpus(20 * count) if len(text.split()) >= 7)
    return list(found)[:count]
