"""Qdrant's gRPC messages, without the rest of Qdrant's client.

To import `qdrant_client.grpc` in the usual way first runs the client's whole package, whose models of the REST API take
a third of the time in which an ingress replica imports all that it needs. So this part is loaded by itself, under its
own name, and who imports the client afterwards gets the same one.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qdrant_client import grpc
else:

    def _messages() -> ModuleType:
        name, package = "qdrant_client.grpc", "qdrant_client"
        if name not in sys.modules and package not in sys.modules:
            sys.modules[package] = module_from_spec(find_spec(package))  # not run: it only says where its parts are
            try:
                return import_module(name)
            finally:
                del sys.modules[package]
        return import_module(name)

    grpc = _messages()

__all__ = ["grpc"]
