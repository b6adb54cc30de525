"""The embedded store: Qdrant's REST and gRPC APIs on a folder, for development, tests and small collections."""

from __future__ import annotations

import sqlite3
import threading
from http import HTTPStatus
from pathlib import Path

import orjson
from google.protobuf.message import Message

from deployments.errors import ConfigError
from serve_app.embedded import grpc_methods, rest_routes
from serve_app.embedded.engine.errors import HTTP, GrpcError, refusal
from serve_app.embedded.local.client import Local

__all__ = ["EmbeddedStore", "GrpcError"]


class EmbeddedStore:
    """Collections in `folder`, which outlive the process: what was answered is on disk.

    Any thread may call, and all calls are synchronous; a lock lets one request in at a time, because local mode is
    not made for more. Requests hold vectors, no inference objects.

    Raises:
        ConfigError: the folder cannot be used; it names the folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self._lock = threading.Lock()
        try:
            self._local = Local(str(folder))
        except RuntimeError as error:
            raise ConfigError(f"{folder}: another process has this embedded store open") from error
        except (OSError, ValueError, KeyError, sqlite3.Error) as error:
            raise ConfigError(f"{folder}: the embedded store cannot be read: {error}") from error

    def rest(self, method: str, path: str, query: str, body: bytes) -> tuple[int, bytes]:  # noqa: ARG002
        """Status and JSON body of the answer, in Qdrant's shape also when it is an error.

        `path` is percent-encoded. `query` changes nothing: every write is complete when it is answered, and all that
        could be said about ordering and consistency holds.
        """
        try:
            with self._lock:
                return HTTPStatus.OK, rest_routes.answer(self._local, method, path, body)
        except Exception as error:  # noqa: BLE001  whatever it is, the answer has Qdrant's shape
            refused = refusal(error)
            return HTTP[refused.code], orjson.dumps({"status": {"error": refused.message}, "time": 0.0, "result": None})

    def grpc(self, method: str, request: Message) -> Message:
        """The answer of a method, for example `/qdrant.Points/Upsert`.

        Raises:
            GrpcError: the call is refused.
        """
        try:
            with self._lock:
                return grpc_methods.answer(self._local, method, request)
        except Exception as error:
            raise refusal(error) from error

    def close(self) -> None:
        """Give the folder free for others. No call may follow."""
        with self._lock:
            self._local.close()
