"""The files of BM42 and miniCOIL beside a network's own: by them a checkpoint is known, before any of it is read."""

from __future__ import annotations

STOPWORDS = "stopwords.txt"
"""The file of a model's stop words, one a line."""

TABLE, VOCABULARY = "minicoil.triplet.model.npy", "minicoil.triplet.model.vocab"
"""A matrix for each word of the vocabulary, float32 `[words + 1, hidden, entries]`, the first of which is for none; and
the vocabulary as JSON: the words (`vocab`), and which of them a stem stands for (`stem_mapping`)."""
