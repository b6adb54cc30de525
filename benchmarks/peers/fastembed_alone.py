"""fastembed with its defaults, as its documentation shows it."""

from __future__ import annotations

import fastembed_model  # noqa: F401  it makes the model known
from common import NAME, folder, measure
from fastembed import TextEmbedding

model = TextEmbedding(NAME, specific_model_path=str(folder()))
measure(lambda texts: list(model.embed(texts)))
