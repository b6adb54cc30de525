"""What the engine finds, in Qdrant's REST shape; vectors and scores as float32."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import qdrant_edge as edge

JSON = dict[str, Any]


def json_id(point_id: int | uuid.UUID | str) -> int | str:
    """A point's id: numbers stay, UUIDs become text."""
    return point_id if isinstance(point_id, int) else str(point_id)


def json_vector(vector: Any) -> Any:
    """A vector, a list of vectors, a sparse vector, or vectors by name."""
    if isinstance(vector, edge.SparseVector):
        return {"indices": list(vector.indices), "values": np.asarray(vector.values, np.float32)}
    if isinstance(vector, dict):
        return {name: json_vector(one) for name, one in vector.items()}
    return np.asarray(vector, np.float32)


def record(found: Any, with_payload: Any) -> JSON:
    """A point that was retrieved."""
    answer: JSON = {"id": json_id(found.id)}
    if with_payload is not False and found.payload is not None:
        answer["payload"] = found.payload
    if found.vector is not None:
        answer["vector"] = json_vector(found.vector)
    if found.order_value is not None:
        answer["order_value"] = found.order_value
    return answer


def scored(found: Any, with_payload: Any, with_vector: Any) -> JSON:
    """A point that was found by a query."""
    answer: JSON = {"id": json_id(found.id), "version": found.version, "score": np.float32(found.score)}
    answer.update(record(found, with_payload))
    if not with_vector:
        answer.pop("vector", None)  # the engine's MMR brings the vectors that it has compared
    return answer
