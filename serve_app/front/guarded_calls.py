"""A gRPC server of Ray Serve's that looks at who calls before it reads a message."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import grpc
from typing_extensions import override

Metadata = Sequence[tuple[str, Any]]
Refusal = tuple[str, str]
"""The name of a gRPC status code, and its details."""

Look = Callable[[str, Metadata], Refusal | None]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Callers(Protocol):
    """Who may call over gRPC, told before a message is read."""

    def refusal(self, method: str, metadata: Metadata) -> Refusal | None:
        """Why a call is not answered; None if it may be."""

    def is_open(self, method: str) -> bool:
        """Whether everybody may call a method. Then it is answered without its message."""


class GuardedHandlers(grpc.GenericRpcHandler):
    """The methods of a service. A call that `look` refuses ends without its message, and so begins one that is open."""

    def __init__(self, handlers: Any, look: Look, is_open: Callable[[str], bool]) -> None:
        self._handlers = handlers
        self._look = look
        self._is_open = is_open

    @property
    def _method_handlers(self) -> Mapping[str, Handler]:
        """Ray Serve reads and replaces them."""
        handlers: Mapping[str, Handler] = self._handlers._method_handlers  # noqa: SLF001
        return handlers

    @_method_handlers.setter
    def _method_handlers(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers._method_handlers = handlers  # noqa: SLF001

    @override
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        handler: Handler | None = self._handlers.service(handler_call_details)
        if handler is None:
            return None
        method = str(handler_call_details.method)
        refusal = self._look(method, handler_call_details.invocation_metadata or ())
        if refusal:
            return _refusing(*refusal)
        return _without_message(handler) if self._is_open(method) and not handler.request_streaming else handler


def guarded_server(base: Any, look: Look, is_open: Callable[[str], bool]) -> Any:
    """The class of such servers, made of Ray Serve's."""

    class GuardedServer(base):  # type: ignore[misc]  # a parameter
        def add_generic_rpc_handlers(self, generic_rpc_handlers: Sequence[grpc.GenericRpcHandler]) -> None:
            guarded = [GuardedHandlers(handlers, look, is_open) for handlers in generic_rpc_handlers]
            super().add_generic_rpc_handlers(guarded)

        def add_registered_method_handlers(self, service_name: str, method_handlers: Any) -> None:
            """None: they would go before the others, and are told nothing of who calls."""

    return GuardedServer


def _refusing(code: str, details: str) -> Handler:
    """Of a stream, which is read only if it is asked for."""

    async def refuse(_: Any, context: Any) -> AsyncIterator[bytes]:
        await context.abort(grpc.StatusCode[code], details)
        yield b""

    return grpc.stream_stream_rpc_method_handler(refuse)


def _without_message(handler: Any) -> Handler:
    """A method of one message and one answer, called with an empty one."""

    async def answer(_: Any, context: Any) -> Any:
        return await handler.unary_unary(handler.request_deserializer(b""), context)

    return grpc.stream_unary_rpc_method_handler(answer, response_serializer=handler.response_serializer)
