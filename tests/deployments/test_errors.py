"""Errors are short, whatever names of a caller's stand in them."""

from __future__ import annotations

import json

import pytest

from deployments.errors import LONGEST, WrongInput


@pytest.mark.parametrize("character", ["x", '"', "\n", "\0", "é", "名", "🍪", "\\"])
def test_an_error_has_2_kb_at_most(character: str) -> None:
    for count in (1, 300, 1900, 1901, 100_000):
        message = WrongInput(f"points[0].{character * count}").message
        assert message.startswith("points[0]." + character)
        assert len(json.dumps(message, ensure_ascii=False).encode()) <= LONGEST


def test_what_is_short_stays_as_it_is() -> None:
    text = "x" * (LONGEST - 2)
    assert WrongInput(text).message == text
