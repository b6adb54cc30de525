"""sentence-transformers with its defaults, on PyTorch."""

from __future__ import annotations

from common import folder, measure
from sentence_transformers import SentenceTransformer

model = SentenceTransformer(str(folder()), device="cpu")
measure(model.encode)
