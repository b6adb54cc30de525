"""The bodies of calls to Qdrant's inference service protocol."""

from __future__ import annotations

from typing import Any


def asked(*inputs: dict[str, Any], inference: str = "update") -> dict[str, Any]:
    return {"inputs": list(inputs), "inference": inference, "token": None}


def text(data: Any, model: str = "org/dense", **options: Any) -> dict[str, Any]:
    return {"data": data, "data_type": "text", "model": model, "options": options or None}
