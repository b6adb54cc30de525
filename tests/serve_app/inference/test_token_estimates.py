"""About how many tokens a request is."""

from __future__ import annotations

import pytest

from serve_app.inference.plan import Group
from serve_app.inference.token_estimates import estimated_tokens
from tests.support.cards import CATALOGUE


@pytest.mark.parametrize(("window", "longest"), [(12, 12), (13, 12.25), (1000, 12.25), (None, 12.25)])
def test_a_text_counts_by_its_characters_but_not_for_more_than_the_window(window: int | None, longest: float) -> None:
    card = CATALOGUE.find("org/dense", "test").model_copy(update={"context_window": window})
    group = Group(card, "update", {}, "text", inputs=["", "a", "abc", "x" * 41])
    assert estimated_tokens([group]) == {card.account: int(2 + 2.25 + 2.75 + longest)}
