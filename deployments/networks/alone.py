"""Whether a run has all threads of its replica: said by who hands out the work, asked by the session that runs it.

Between them stand a family and its networks, for which it makes no difference. Free of onnxruntime.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_alone: ContextVar[bool] = ContextVar("alone", default=False)


@contextmanager
def alone() -> Iterator[None]:
    """While this thread runs a model within it, nothing else runs or waits in the replica."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def is_alone() -> bool:
    """Whether this thread is within `alone`."""
    return _alone.get()
