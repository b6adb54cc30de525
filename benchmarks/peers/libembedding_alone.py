"""libembedding-ng at its defaults: onnxruntime behind a C++ library."""

from __future__ import annotations

from common import folder, measure
from libembedding import TextEmbedding

model = TextEmbedding(str(folder()), offline=True, max_length=256)
measure(model.embed)
