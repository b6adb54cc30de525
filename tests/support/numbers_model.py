"""A model of numbers, which a test can hold up."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from deployments.contract import Batch, DenseVectors, Direction, Running
from deployments.families.protocol import Positions, Prepared
from deployments.networks.alone import is_alone
from deployments.networks.layouts import Padded
from deployments.replica.work import Work


class Numbers:
    """A model whose vector of a number is that number; the number is also the count of its tokens."""

    running = Running(None, None)

    def __init__(self) -> None:
        self.chunks: list[list[int]] = []
        self.alone: list[bool] = []
        """Of each chunk, in the order in which they began."""
        self.started = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.fails_on = 0

    def work(self, *numbers: int, direction: Direction = "update", options: Any = None) -> Work:
        batch = Batch([str(number) for number in numbers], direction, options or {})
        tokens = np.array(numbers, np.int64)
        return Work(self, Prepared(batch, numbers, tokens, truncated=len(numbers), layout=Padded(512)))

    def samples(self) -> list[Batch]:
        return []

    def prepare(self, batch: Batch) -> Prepared:
        raise NotImplementedError

    def run(self, prepared: Prepared, positions: Positions) -> DenseVectors:
        self.alone.append(is_alone())
        self.started.set()
        assert self.go_on.wait(10)
        numbers = [prepared.items[position] for position in positions]
        assert numbers == prepared.tokens[positions].tolist()
        self.chunks.append(numbers)
        if self.fails_on in numbers:
            raise ZeroDivisionError
        return DenseVectors(np.array(numbers, np.float32)[:, None])
