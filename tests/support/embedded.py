"""Calls of the embedded store, and points for it."""

from __future__ import annotations

from typing import Any

import orjson

from serve_app.embedded.store import EmbeddedStore


class Rest:
    """Calls of a store's REST API with JSON as Python values."""

    def __init__(self, store: EmbeddedStore) -> None:
        self.store = store

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        content = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        status, answer = self.store.rest(method, path, "wait=true", content)
        return int(status), orjson.loads(answer)

    def result(self, method: str, path: str, body: Any = None) -> Any:
        """The result of a call that must not fail."""
        status, answer = self(method, path, body)
        assert status == 200, answer
        assert answer["status"] == "ok"
        assert answer["time"] >= 0
        return answer["result"]

    def error(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Status and text of a call that must fail."""
        status, answer = self(method, path, body)
        assert set(answer) == {"status", "time", "result"}
        assert answer["result"] is None
        return status, answer["status"]["error"]


COLLECTION: dict[str, Any] = {
    "vectors": {
        "cosine": {"size": 3, "distance": "Cosine"},
        "euclid": {"size": 2, "distance": "Euclid"},
        "multi": {"size": 2, "distance": "Cosine", "multivector_config": {"comparator": "max_sim"}},
    },
    "sparse_vectors": {"sparse": {"modifier": "idf"}},
}
POINTS: list[dict[str, Any]] = [
    {
        "id": number,
        "vector": {
            "cosine": [0.1, number, 3],
            "euclid": [number, 0.7],
            "multi": [[number, 10], [2, 3]],
            "sparse": {"indices": [5, number], "values": [number / 9, number]},
        },
        "payload": {"number": number},
    }
    for number in range(10, 15)
]


def fill(rest: Rest) -> None:
    rest.result("PUT", "/collections/c", COLLECTION)
    rest.result("PUT", "/collections/c/points", {"points": POINTS})
