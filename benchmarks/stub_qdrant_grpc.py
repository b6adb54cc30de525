"""The gRPC side of the Qdrant that forgets: every method is answered with an empty message, which is a valid one.

It runs in a process of its own, on the port that is its argument, until its input ends.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc.aio
import uvloop


class _Anything(grpc.GenericRpcHandler):
    def service(self, _: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        async def answer(_: bytes, __: Any) -> bytes:
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)


async def serve(port: int) -> None:
    """Answer until the input ends."""
    options = [("grpc.max_receive_message_length", 256 * 1024 * 1024)]
    server = grpc.aio.server(handlers=[_Anything()], options=options)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
