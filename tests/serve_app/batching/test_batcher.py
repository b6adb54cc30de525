"""The rule by which inputs become batches: values in, values out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deployments.errors import InternalError
from serve_app.batching.batcher import BatchQueue, Item, PendingRequest, ReadyBatch
from serve_app.config.settings import Coalescing, IngressSettings, LiveSettings


@dataclass
class Request:
    is_wanted: bool = True


Queue = BatchQueue[str, Request]
Batches = list[ReadyBatch[str, Request]]


def live(**coalescing: int) -> LiveSettings:
    return LiveSettings(IngressSettings(coalescing=Coalescing(**coalescing)))


def items(*values: str, request: Request | None = None) -> list[Item[str, Request]]:
    request = request or Request()
    return [Item(value, len(value), request, position) for position, value in enumerate(values)]


def values(batches: Batches) -> list[list[str]]:
    return [[item.value for item in batch.items] for batch in batches]


def test_an_idle_queue_holds_nothing_back() -> None:
    assert values(Queue(live()).add(items("a", "b"))) == [["a", "b"]]


def test_full_batches_leave_however_many_are_out_and_the_rest_waits() -> None:
    queue = Queue(live(inputs=2, max_partial_batches=1))
    first, second = queue.add(items(*"abcde"))
    assert values([first, second]) == [["a", "b"], ["c", "d"]]
    assert queue.came_back(first) == []
    assert values(queue.came_back(second)) == [["e"]]


def test_a_partial_batch_leaves_once_it_is_as_large_as_the_smallest_that_is_out() -> None:
    queue = Queue(live(max_partial_batches=2))
    assert values(queue.add(items("a", "b"))) == [["a", "b"]]
    assert queue.add(items("c")) == []
    assert values(queue.add(items("d"))) == [["c", "d"]]
    assert queue.add(items(*"efghij")) == []
    assert queue.in_flight == 2


def test_new_settings_reach_a_busy_queue_at_once() -> None:
    settings = live(max_partial_batches=1)
    queue = Queue(settings)
    queue.add(items("a"))
    assert queue.add(items("b", "c")) == []
    settings.replace(IngressSettings(coalescing=Coalescing(inputs=1)))
    assert values(queue.ready()) == [["b"], ["c"]]


def test_what_nobody_waits_for_is_not_sent_and_told_when_it_is_out() -> None:
    queue = Queue(live(max_partial_batches=1))
    out, gone, kept = Request(), Request(), Request()
    (first,) = queue.add(items("a", request=out))
    queue.add(items("b", request=gone))
    queue.add(items("c", request=kept))
    gone.is_wanted = False
    assert queue.unwanted() == []
    out.is_wanted = False
    assert queue.unwanted() == [first]
    assert values(queue.came_back(first)) == [["c"]]


@given(
    steps=st.lists(st.one_of(st.lists(st.text(max_size=9), min_size=1, max_size=7), st.integers(0, 9)), max_size=40),
    rule=st.builds(
        Coalescing, inputs=st.integers(1, 5), characters=st.integers(1, 20), max_partial_batches=st.integers(1, 3)
    ),
)
def test_every_input_is_sent_once_in_order_within_the_bounds(steps: list[Any], rule: Coalescing) -> None:
    """Whatever comes in between: adding, and batches that come back in any order."""
    queue = Queue(LiveSettings(IngressSettings(coalescing=rule)))
    added: list[str] = []
    sent: list[str] = []
    out: Batches = []
    for step in [*steps, *[0] * 300]:
        if isinstance(step, list):
            added += step
            batches = queue.add(items(*step))
        else:
            batches = queue.came_back(out.pop(step % len(out))) if out else []
        for batch in batches:
            sizes = [item.size for item in batch.items]
            assert 1 <= len(sizes) <= rule.inputs
            assert len(sizes) == 1 or sum(sizes) <= rule.characters
        sent += [value for part in values(batches) for value in part]
        out += batches
    assert sent == added
    assert queue.in_flight == len(out) == 0


RULES = st.builds(Coalescing, inputs=st.integers(1, 4), characters=st.integers(1, 12))


@given(rule=RULES, texts=st.lists(st.text(max_size=9), max_size=6), later=st.lists(st.text(max_size=5), max_size=3))
def test_a_request_has_a_batch_of_its_own_only_if_it_would_leave_at_once_and_whole(
    rule: Coalescing, texts: list[str], later: list[str]
) -> None:
    own_queue, queue = (Queue(LiveSettings(IngressSettings(coalescing=rule))) for _ in range(2))
    own, sent = own_queue.own(texts), queue.add(items(*texts))
    assert (own is not None) == (values(sent) == [texts])
    if own:
        assert len(own) == len(texts)
        assert own_queue.own(["x"]) is None, "another one is under way"
        assert values(own_queue.add(items(*later))) == values(queue.add(items(*later)))
        assert own_queue.unwanted() == []
        assert values(own_queue.came_back(own)) == values(queue.came_back(sent[0]))
        assert own_queue.in_flight == queue.in_flight


def test_a_request_is_settled_once_by_its_last_result_or_its_first_failure() -> None:
    settled: list[str] = []
    done = PendingRequest(2, 0.0, lambda: settled.append("done"))
    done.take(1, "y", 2)  # type: ignore[arg-type]
    assert done.is_wanted
    done.take(0, "x", 3)  # type: ignore[arg-type]
    failed = PendingRequest(2, 0.0, lambda: settled.append("failed"))
    failed.fail(InternalError("first"))
    failed.fail(InternalError("second"))
    failed.take(0, "x", 1)  # type: ignore[arg-type]
    failed.take(1, "x", 1)  # type: ignore[arg-type]
    assert settled == ["done", "failed"]
    assert (done.vectors, done.tokens, done.is_wanted) == (["x", "y"], 5, False)
    assert str(failed.error) == "first"


def test_who_gives_up_is_told_nothing() -> None:
    settled: list[None] = []
    request = PendingRequest(1, 0.0, lambda: settled.append(None))
    request.abandon()
    request.take(0, "x", 1)  # type: ignore[arg-type]
    request.fail(InternalError("late"))
    assert (settled, request.error) == ([], None)


def test_results_are_taken_one_by_one_or_several_that_follow_each_other() -> None:
    settled: list[None] = []
    request = PendingRequest(4, 0.0, lambda: settled.append(None))
    request.take_run(1, ["b", "c"], 5)  # type: ignore[list-item]
    request.take(3, "d", 2)  # type: ignore[arg-type]
    assert settled == []
    request.take_run(0, ["a"], 1)  # type: ignore[list-item]
    assert (request.vectors, request.tokens, settled) == (["a", "b", "c", "d"], 8, [None])
