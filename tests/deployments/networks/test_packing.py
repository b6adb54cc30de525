"""Texts in shared rows: each is whole and by itself, few tokens are computed in vain, and there are few shapes."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.networks.packing import Packed, arrange, in_pieces, pack

TEXTS = st.lists(st.integers(1, 300).map(lambda tokens: list(range(1, tokens + 1))), min_size=1, max_size=40)


@given(texts=TEXTS, data=st.data())
def test_each_text_is_whole_in_one_row_and_found_again(texts: list[list[int]], data: st.DataObject) -> None:
    attended = [data.draw(st.integers(1, len(text))) for text in texts]
    rows = pack(texts, attended)
    assert rows.ids.dtype == rows.positions.dtype == np.int32
    flat, found = rows.ids.reshape(-1), np.split(rows.places, np.cumsum([len(text) for text in texts])[:-1])
    for text, places in zip(texts, found, strict=True):
        assert flat[places].tolist() == text
        assert rows.positions.reshape(-1)[places].tolist() == list(range(len(text)))
        assert len(set(places // rows.ids.shape[1])) == 1, "a text in two rows"
    assert len(set(rows.places.tolist())) == sum(map(len, texts)), "two tokens in one place"


@pytest.mark.slow
@given(texts=TEXTS, data=st.data())
def test_a_token_attends_to_the_attended_ones_of_its_text_and_to_no_others(
    texts: list[list[int]], data: st.DataObject
) -> None:
    attended = [data.draw(st.integers(1, len(text))) for text in texts]
    rows = pack(texts, attended)
    seen = rows.texts[:, :, None] == rows.attended[:, None, :]
    places = iter(rows.places.tolist())
    for text, count in zip(texts, attended, strict=True):
        own = [divmod(next(places), rows.ids.shape[1]) for _ in text]
        row, expected = own[0][0], {column for _, column in own[:count]}
        for _, column in own:
            assert set(np.flatnonzero(seen[row, column]).tolist()) == expected
    assert seen.any(axis=2).all(), "padding attends to padding: a token that attends to nothing has no finite state"


@given(texts=TEXTS)
def test_the_pieces_of_a_text_have_all_its_tokens_and_no_others(texts: list[list[int]]) -> None:
    tokens = [len(text) for text in texts]
    rows = pack(texts, tokens)
    pieces = in_pieces(rows, tokens)
    assert pieces.slots.dtype == np.int32
    assert pieces.slots.max() < rows.ids.size
    found = np.split(rows.places, np.cumsum(tokens)[:-1])
    for number, places in enumerate(found):
        own = pieces.slots[pieces.offsets[number] : pieces.offsets[number + 1]].reshape(-1)
        assert own[: len(places)].tolist() == places.tolist()
        assert set(own[len(places) :].tolist()) <= {places[0]}, "the last piece is filled up with something else"
    assert pieces.slots.size <= sum(-(-count // 8) * 8 for count in tokens) + 3 * 8


@pytest.mark.parametrize(("tokens", "shape"), [([9], (1, 9)), ([32], (1, 32)), ([33], (8, 8)), ([9, 2], (3, 8))])
def test_a_text_alone_as_short_as_a_query_is_one_piece(tokens: list[int], shape: tuple[int, int]) -> None:
    assert in_pieces(pack([[1] * count for count in tokens], tokens), tokens).slots.shape == shape


@given(st.lists(st.integers(1, 600), min_size=1, max_size=60))
def test_rows_are_no_shorter_than_the_longest_text_and_hold_all(tokens: list[int]) -> None:
    arrangement = arrange(tokens)
    assert arrangement.row_length >= max(tokens)
    assert arrangement.rows * arrangement.row_length >= sum(tokens)
    assert Packed().computed(tokens) == arrangement.rows * arrangement.row_length


@pytest.mark.parametrize(
    ("tokens", "shape"),
    [
        ([7], (1, 8)),
        ([9], (1, 16)),
        ([17, 3], (1, 24)),
        ([17, 10], (1, 32)),
        ([60, 4], (1, 64)),
        ([60, 5], (1, 80)),
        ([600], (1, 608)),
        ([100] * 3, (1, 304)),
        ([40] * 6, (2, 128)),
    ],
)
def test_few_texts_get_rows_that_are_only_as_long_as_needed(tokens: list[int], shape: tuple[int, int]) -> None:
    arrangement = arrange(tokens)
    assert (arrangement.rows, arrangement.row_length) == shape


@given(tokens=st.lists(st.integers(1, 256), min_size=1, max_size=60).map(sorted), data=st.data())
def test_what_is_chosen_fits_the_budget_or_misses_it_by_a_tenth(tokens: list[int], data: st.DataObject) -> None:
    wanted = data.draw(st.integers(0, len(tokens) - 1))
    chosen = [tokens[place] for place in Packed().choose(tokens, wanted, 512)]
    assert Packed().computed(chosen) <= 512 * 1.1


@pytest.mark.parametrize("waiting", [1, 4, 16, 64])
def test_short_texts_beside_long_ones_leave_few_gaps(waiting: int) -> None:
    source = random.Random(waiting)
    real = computed = 0
    for _ in range(100):
        lengths = sorted(source.choice((9, 14, 22, source.randint(60, 420))) for _ in range(waiting))
        while lengths:
            chosen = [lengths[place] for place in Packed().choose(lengths, source.randrange(len(lengths)), 256)]
            real += sum(chosen)
            computed += Packed().computed(chosen)
            for tokens in chosen:
                lengths.remove(tokens)
    assert computed < 1.1 * real


def test_texts_of_all_lengths_leave_few_gaps_and_need_few_shapes() -> None:
    lengths = [random.Random(number).choice((6, 9, 14, 40, 75, 120, 250)) for number in range(2000)]
    real, computed, shapes = 0, 0, set()
    while lengths:
        waiting = sorted(lengths[:256])
        chosen = [waiting[place] for place in Packed().choose(waiting, len(lengths) % len(waiting), 512)]
        arrangement = arrange(chosen)
        shapes.add((arrangement.rows, arrangement.row_length))
        real += sum(chosen)
        computed += arrangement.rows * arrangement.row_length
        for tokens in chosen:
            lengths.remove(tokens)
    assert computed < 1.1 * real
    assert len(shapes) < 25
