"""The embedded store as a Serve deployment, of which there is one replica: local mode has one writer."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from serve_app.embedded.store import EmbeddedStore, GrpcError
from serve_app.methods import request_class


class Store:
    """Answers for Qdrant, one request at a time, in the order in which they came."""

    def __init__(self, folder: str) -> None:
        self._store = EmbeddedStore(folder)
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    async def rest(self, method: str, path: str, query: str, body: bytes) -> tuple[int, bytes]:
        """Status and JSON body of the answer."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, self._store.rest, method, path, query, body)

    async def grpc(self, method: str, message: bytes) -> tuple[int, str, bytes]:
        """Status code (a number of gRPC's), details, and the serialized answer."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, self._answer, method, message)

    def _answer(self, method: str, message: bytes) -> tuple[int, str, bytes]:
        try:
            answer = self._store.grpc(method, request_class(method).FromString(message))
        except GrpcError as error:
            return int(error.code.value[0]), error.message, b""
        return 0, "", answer.SerializeToString()

    def __del__(self) -> None:
        self._worker.shutdown()
        self._store.close()
