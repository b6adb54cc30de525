"""What waits for a model: nothing is lost or starved, chunks fit the budget, and company costs little padding."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from deployments.networks.layouts import Padded
from deployments.replica.queue import InputQueue, Waiting

LAYOUT = Padded(512)
OWNERS = ("0", "1", "2", "3")
LENGTHS = st.lists(st.integers(1, 300), max_size=60)


def waiting(lengths: list[int], owner: str = "") -> list[Waiting[str]]:
    return [Waiting(None, tokens, owner, position) for position, tokens in enumerate(lengths)]


def filled(*batches: list[int]) -> InputQueue[str]:
    queue: InputQueue[str] = InputQueue(LAYOUT)
    for number, (owner, batch) in enumerate(zip(OWNERS, batches, strict=False)):
        queue.add(waiting(batch, owner), due=number)
    return queue


@given(batches=st.lists(LENGTHS, max_size=4), budget=st.integers(1, 600))
def test_every_input_is_taken_once_and_every_chunk_fits(batches: list[list[int]], budget: int) -> None:
    queue = filled(*batches)
    expected = {(str(n), position) for n, batch in enumerate(batches) for position in range(len(batch))}
    taken: list[tuple[str, int]] = []
    while chunk := queue.take(budget):
        assert len(chunk) == 1 or LAYOUT.computed([one.tokens for one in chunk]) <= budget
        taken += [(one.owner, one.position) for one in chunk]
    assert len(queue) == 0
    assert len(taken) == len(expected)
    assert set(taken) == expected


def test_what_is_due_first_is_taken_first() -> None:
    queue: InputQueue[str] = InputQueue(LAYOUT)
    for owner, due in (("late", 3.0), ("soon", 1.0), ("later", 4.0), ("first", 0.5)):
        queue.add(waiting([100], owner), due)
    assert [queue.due, *(queue.take(1)[0].owner for _ in range(4))] == [0.5, "first", "soon", "late", "later"]
    assert queue.due == float("inf")


@given(batches=st.lists(LENGTHS, min_size=1, max_size=4), budget=st.integers(1, 600))
def test_the_most_urgent_input_is_always_taken(batches: list[list[int]], budget: int) -> None:
    queue = filled(*batches)
    ages = [(str(n), position) for n, batch in enumerate(batches) for position in range(len(batch))]
    while chunk := queue.take(budget):
        taken = {(one.owner, one.position) for one in chunk}
        assert ages[0] in taken
        ages = [age for age in ages if age not in taken]


def test_inputs_of_like_length_go_together() -> None:
    queue = filled([10, 200, 11], [12, 201, 202])
    assert sorted(one.tokens for one in queue.take(64)) == [10, 11, 12]
    assert sorted(one.tokens for one in queue.take(700)) == [200, 201, 202]


def test_inputs_of_several_batches_need_less_padding_than_each_batch_alone() -> None:
    lengths = [random.Random(number).choice((8, 16, 40, 120, 250)) for number in range(256)]
    together, apart = filled(lengths), [filled(lengths[start : start + 64]) for start in range(0, 256, 64)]
    assert padding(together) < 1.1 * sum(lengths)
    assert padding(together) < sum(padding(queue) for queue in apart)


def padding(queue: InputQueue[str]) -> int:
    padded = 0
    while chunk := queue.take(1024):
        padded += LAYOUT.computed([one.tokens for one in chunk])
    return padded


def test_what_is_discarded_is_not_taken() -> None:
    queue = filled([1, 2, 3], [4, 5], [6])
    queue.discard(OWNERS[1])
    assert len(queue) == 4
    assert queue.owners() == {"0", "2"}
    owners = set()
    while chunk := queue.take(4):
        owners |= {one.owner for one in chunk}
    assert owners == {"0", "2"}


def test_an_empty_queue_gives_nothing() -> None:
    assert list(filled().take(100)) == []
    assert list(filled([]).take(100)) == []


def test_what_is_longer_than_the_budget_lets_shorter_ones_go_first_if_it_may() -> None:
    queue = filled([90, 20, 60, 30])
    chunks = [[one.tokens for one in queue.take(50, in_budget=in_budget)] for in_budget in (True, True, True, False)]
    assert chunks == [[30], [20], [60], [90]]
