"""fastembed with its defaults, as its documentation shows it."""

from __future__ import annotations

from common import NAME, folder, measure
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType

TextEmbedding.add_custom_model(
    model=NAME,
    pooling=PoolingType.MEAN,
    normalization=True,
    sources=ModelSource(hf=NAME),
    dim=384,
    model_file="model.onnx",
)
model = TextEmbedding(NAME, specific_model_path=str(folder()))
measure(lambda texts: list(model.embed(texts)))
