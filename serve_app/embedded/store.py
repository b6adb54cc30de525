"""The embedded store: Qdrant's REST and gRPC APIs on a folder, for development, tests and small collections."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

import orjson
from google.protobuf.message import DecodeError, Message
from grpc import StatusCode

from deployments.errors import ConfigError
from serve_app.embedded import grpc_methods, rest_routes
from serve_app.embedded.edge import reading
from serve_app.embedded.edge.store import EdgeStore
from serve_app.embedded.engine.errors import GrpcError, TakesLong, refusal
from serve_app.protocol import message_pieces
from serve_app.protocol.grpc_services import request_class
from serve_app.protocol.message_pieces import TooManyFieldsError

__all__ = ["EmbeddedStore", "GrpcError"]


class EmbeddedStore:
    """Collections in `folder`, which outlive the process: what was answered is on disk.

    Any thread may call, and all calls are synchronous. Requests hold vectors, no inference objects.

    Raises:
        ConfigError: the folder cannot be used; it names the folder.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            self._engine = EdgeStore(Path(folder))
        except (OSError, ValueError, KeyError, GrpcError) as error:
            raise ConfigError(f"{folder}: the embedded store cannot be read: {error}") from error

    def writes(self, method: str, path: str) -> bool:
        """Whether a REST request changes something: such requests have to come one after the other."""
        return rest_routes.writes(method, path)

    def grpc_writes(self, method: str) -> bool:
        """The same of a gRPC method."""
        return grpc_methods.writes(method)

    def rest(self, method: str, path: str, query: str, body: bytes, *, others_wait: bool = False) -> tuple[int, bytes]:
        """Status and JSON body of the answer, in Qdrant's shape also when it is an error.

        `path` is percent-encoded. Of `query` little changes anything: every write is complete when it is answered, and
        all that could be said about ordering and consistency holds.

        Raises:
            TakesLong: the answer takes seconds, and `others_wait` for this thread. Nothing has been done.
        """
        try:
            reading.begin(others_wait=others_wait)
            return HTTPStatus.OK, rest_routes.answer(self._engine, method, path, query, body)
        except TakesLong:
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, the answer has Qdrant's shape
            refused = refusal(error)
            return refused.status, orjson.dumps({"status": {"error": refused.message}, "time": 0.0, "result": None})

    def file(self, method: str, path: str) -> Path | None:
        """The file that a REST request asks for, if there is one: `rest` gives the same as bytes."""
        try:
            return rest_routes.file(self._engine, method, path)
        except GrpcError:
            return None

    def grpc(self, method: str, request: Message, *, others_wait: bool = False) -> Message:
        """The answer of a method, for example `/qdrant.Points/Upsert`.

        Raises:
            GrpcError: the call is refused.
            TakesLong: as in `rest`.
        """
        try:
            reading.begin(others_wait=others_wait)
            return grpc_methods.answer(self._engine, method, request)
        except TakesLong:
            raise
        except Exception as error:
            raise refusal(error) from error

    def grpc_bytes(self, method: str, request: bytes, *, others_wait: bool = False) -> bytes:
        """The same as `grpc`, of messages as their bytes."""
        try:
            message = message_pieces.parse(request_class(method), request)
        except DecodeError as error:
            raise GrpcError(StatusCode.INVALID_ARGUMENT, "the message cannot be decoded") from error
        except TooManyFieldsError as error:
            raise GrpcError(
                StatusCode.RESOURCE_EXHAUSTED, "the message has too many fields; send it in parts"
            ) from error
        return self.grpc(method, message, others_wait=others_wait).SerializeToString()

    def close(self) -> None:
        """Give the folder free for others. No call may follow."""
        self._engine.close()
