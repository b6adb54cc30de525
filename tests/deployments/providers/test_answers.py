"""What providers answer is checked before it is used."""

from __future__ import annotations

from typing import Any

import pytest

from deployments.providers.answers import UnsoundAnswerError, count, in_order, rows, spread
from deployments.providers.replies import Reply


def test_sound_vectors_are_an_array() -> None:
    array = rows([[1, 2.5], [0, -1]], 2, 2)
    assert (array.dtype, array.tolist()) == ("float32", [[1.0, 2.5], [0.0, -1.0]])


@pytest.mark.parametrize(
    "vectors",
    [
        None, "x", {}, [], [[1.0]], [[1.0], [1.0], [1.0]], [[1.0], [1.0, 2.0]], [[], []], [1.0, 2.0], [None, None],
        [["a"], ["b"]], [[None], [1.0]], [[[1.0]], [[1.0]]], [{}, {}], [[1e39], [1.0]], [[float("nan")], [1.0]],
        [[10**400], [1.0]],
    ],
)  # fmt: skip
def test_unsound_vectors_are_refused(vectors: Any) -> None:
    with pytest.raises(UnsoundAnswerError):
        rows(vectors, 2, None)


def test_vectors_of_another_length_are_refused_with_both() -> None:
    with pytest.raises(UnsoundAnswerError, match="of 2 numbers, not of 3"):
        rows([[1.0, 2.0]], 1, 3)


def test_indices_say_whose_vector_it_is() -> None:
    assert in_order([{"index": 1, "embedding": "b"}, {"index": 0, "embedding": "a"}]) == ["a", "b"]
    assert in_order([{"embedding": "a"}, {"embedding": "b"}]) == ["a", "b"]


@pytest.mark.parametrize("indices", [(0, 0), (0, 2), (-1, 0), (0, None), (0, "1"), (True, False), (0.0, 1)])
def test_other_indices_are_refused(indices: tuple[Any, Any]) -> None:
    with pytest.raises(UnsoundAnswerError):
        in_order([{"index": index, "embedding": [1.0]} for index in indices])


def test_tokens_are_what_a_provider_counted() -> None:
    assert count({"total_tokens": 7}, "total_tokens") == 7
    assert count({"input_tokens": 5.0}, "total_tokens", "input_tokens") == 5
    for usage in (None, [], {}, {"total_tokens": -1}, {"total_tokens": True}, {"total_tokens": 10**12}):
        assert count(usage, "total_tokens") is None


@pytest.mark.parametrize("tokens", [0, 1, 7, 1000])
def test_shares_of_tokens_add_up(tokens: int) -> None:
    shares = spread(tokens, [1, 0, 30, 2, 7])
    assert shares.sum() == tokens
    assert (shares >= 0).all()
    assert spread(None, [1, 8]).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7), ("0.5", 0.5), ("", None), ("soon", None), ("-3", 0), ("inf", None), ("nan", None), ("99999999", 3600),
     ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("9" * 9999, 3600)],
)  # fmt: skip
def test_when_to_come_back(said: str, seconds: float | None) -> None:
    assert Reply(429, {"retry-after": said}, b"").retry_after == seconds
