"""Which inputs share a run, and what is computed for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.networks.layouts import Layout, Padded, padded_length
from deployments.networks.packing import Packed
from deployments.networks.ragged import Ragged

LAYOUTS = [Layout(), Padded(300), Ragged(), Packed()]
LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=60).map(sorted)


@pytest.mark.parametrize("layout", LAYOUTS)
@given(tokens=LENGTHS, budget=st.integers(1, 600), data=st.data())
def test_the_wanted_input_is_chosen_and_each_input_once(
    layout: Layout, tokens: list[int], budget: int, data: st.DataObject
) -> None:
    wanted = data.draw(st.integers(0, len(tokens) - 1))
    chosen = layout.choose(tokens, wanted, budget)
    assert wanted in chosen
    assert len(set(chosen)) == len(chosen)


@pytest.mark.parametrize("layout", LAYOUTS[:3])
@given(tokens=LENGTHS, budget=st.integers(1, 600), data=st.data())
def test_what_is_computed_fits_the_budget_unless_one_input_alone_does_not(
    layout: Layout, tokens: list[int], budget: int, data: st.DataObject
) -> None:
    chosen = layout.choose(tokens, data.draw(st.integers(0, len(tokens) - 1)), budget)
    assert len(chosen) == 1 or layout.computed([tokens[place] for place in chosen]) <= budget


def test_without_padding_only_tokens_count() -> None:
    assert Layout().computed([1, 30, 500]) == 531
    assert list(Layout().choose([1, 2, 30, 500], 2, 32)) == [1, 2]


def test_images_that_all_have_as_many_tokens_go_together() -> None:
    """The most urgent of them is the first, so that its company is what stands behind it."""
    assert list(Layout().choose([50] * 10, 0, 256)) == [0, 1, 2, 3, 4]
    assert list(Layout().choose([10, 50, 50, 90], 1, 200)) == [0, 1, 2, 3]


def test_padded_inputs_of_like_length_go_together() -> None:
    tokens = [10, 11, 12, 200, 201, 202]
    assert list(Padded(256).choose(tokens, 1, 64)) == [0, 1, 2]
    assert list(Padded(256).choose(tokens, 4, 700)) == [3, 4, 5]


def test_ragged_texts_of_any_length_go_together_until_most_of_their_slots_would_be_empty() -> None:
    tokens = [10, 11, 60, 200, 201]
    assert list(Ragged().choose(tokens, 0, 300)) == [0, 1, 2]
    assert list(Ragged().choose(tokens, 0, 2000)) == [0, 1, 2, 3, 4]
    assert list(Ragged().choose([8] * 50 + [512], 50, 1024)) == [48, 49, 50]
    assert list(Ragged().choose([8] * 50 + [512], 0, 1024)) == list(range(50))


def test_padding_goes_no_further_than_the_window() -> None:
    assert Padded(50).computed([50, 49]) == 100
    assert Padded(256).computed([50, 49]) == 112


@given(st.integers(0, 5000))
def test_padding_is_less_than_eight_tokens_and_none_for_short_texts(tokens: int) -> None:
    assert 0 <= padded_length(tokens) - tokens < 8
    assert tokens > 32 or padded_length(tokens) == tokens
