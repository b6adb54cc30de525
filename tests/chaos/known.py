"""Inputs whose vectors are known beforehand, so that a wrong vector in a collection shows."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt

from serve_app.demo.drawings import scenes

_IMAGES = 12
_SAME = 0.999
"""The least cosine of two vectors of one input. Precisions differ by 0.0001; the inputs here by more than 0.01."""

Rows = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Content:
    """What a collection is filled with: point i has input i modulo their number, and that as payload `k`."""

    kind: str
    model: str
    inputs: Sequence[str]
    vectors: Rows

    def wanted(self, number: int) -> Mapping[str, str]:
        """The inference object of a point."""
        return {self.kind: self.inputs[number % len(self.inputs)], "model": self.model}

    def point(self, number: int) -> dict[str, Any]:
        """A point as it is upserted."""
        return {"id": number, "vector": self.wanted(number), "payload": {"k": number % len(self.inputs)}}

    def is_right(self, number: int, vector: Sequence[float]) -> bool:
        """Whether a stored vector is that of the point's input."""
        stored = np.asarray(vector, np.float32)
        return bool(stored @ self.vectors[number % len(self.inputs)] >= _SAME * np.linalg.norm(stored))


def texts() -> list[str]:
    """Short texts, no two of which mean the same."""
    what = ("a cup of tea", "the oil of a car", "a red bicycle", "an old violin", "last year's tax", "a snow storm")
    where = "in Paris,under the sea,at school,on Mars,in a novel,at the dentist,in a dream,before the war,for sale,raw"
    return [f"{thing} {place}" for thing in what for place in where.split(",")]


def images() -> list[str]:
    """Drawings in PNG and base64."""
    return [_png(scene.draw()) for scene in scenes(_IMAGES, seed=7)]


def _png(image: Any) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


async def ask(client: httpx.AsyncClient, kind: str, model: str, inputs: Sequence[str]) -> Content:
    """The inputs with the vectors that a service without faults gives for them."""
    asked = [{"data": data, "data_type": kind, "model": model} for data in inputs]
    answer = await client.post("/inference", json={"inputs": asked, "inference": "update"}, timeout=60)
    answer.raise_for_status()
    content = Content(kind, model, inputs, np.array(answer.json()["embeddings"], np.float32))
    check_distinct(content)
    return content


def check_distinct(content: Content) -> None:
    """Make sure that a vector tells its input: else a wrong one would pass for right."""
    alike = content.vectors @ content.vectors.T - 2 * np.eye(len(content.inputs))
    if alike.max() >= _SAME:
        raise AssertionError(f"two of the inputs for {content.model} have one vector")
