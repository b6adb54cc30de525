"""How much a request asks for, counted while it is read."""

from __future__ import annotations

import threading

from serve_app.embedded.engine.errors import bad_request

MOST = 20_000
"""Conditions, queries and prefetches in a request: each takes tens of microseconds and a few hundred bytes."""


class RequestParts(threading.local):
    """Of the request that this thread reads."""

    counted = 0

    def begin(self) -> None:
        """A request begins."""
        self.counted = 0

    def count(self) -> None:
        """One more.

        Raises:
            GrpcError: there are more than `MOST`.
        """
        self.counted += 1
        if self.counted > MOST:
            raise bad_request(f"the request has more than {MOST} conditions, queries and prefetches")
