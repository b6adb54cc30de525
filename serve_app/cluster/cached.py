"""Answers that may be late: the last one is served while a new one is fetched (stale-while-revalidate)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")

log = logging.getLogger("ray.serve")


class Cached(Generic[T]):
    """The answer to a question that is asked anew, in the background, when the last answer is older than `kept_s`.

    Who reads it then waits for the new one for `patience_s` at most, and has the last one after that, or if the
    question failed.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], first: T, kept_s: float, patience_s: float) -> None:
        """`first` is the answer until there is one."""
        self._ask = ask
        self._answer = first
        self._kept_s = kept_s
        self._patience_s = patience_s
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def read(self) -> T:
        """The answer."""
        if self._asking is None and time.monotonic() - self._asked_at > self._kept_s:
            self._asking = asyncio.create_task(self._renew())
        if self._asking is not None:
            await asyncio.wait([self._asking], timeout=self._patience_s)
        return self._answer

    async def _renew(self) -> None:
        try:
            self._answer = await self._ask()
        except Exception as error:  # noqa: BLE001  the last answer stays, and the next question may be answered
            log.warning("a question about the state of the service failed: %s", type(error).__name__)
        finally:
            self._asked_at, self._asking = time.monotonic(), None
