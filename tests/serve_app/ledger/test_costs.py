from __future__ import annotations

import pytest

from serve_app.ledger.costs import rates

NOVEMBER = 1_793_491_200 // 3600
PRICES = {"m": 2.0}


def row(hour: int, tokens: int, model: str = "m") -> dict[str, object]:
    return {"model": model, "hour": hour, "tokens": tokens}


def test_within_the_allowance_nothing_costs_anything() -> None:
    assert rates([row(NOVEMBER, 100)], PRICES, 100) == {("m", NOVEMBER): 0.0}


def test_tokens_beyond_the_allowance_cost_the_price() -> None:
    costs = rates([row(NOVEMBER, 1_000_000), row(NOVEMBER + 1, 500_000)], PRICES, 1_000_000)
    assert costs["m", NOVEMBER] == 0
    assert costs["m", NOVEMBER + 1] * 500_000 == pytest.approx(1.0)


def test_in_the_hour_in_which_the_allowance_ends_only_the_rest_costs() -> None:
    costs = rates([row(NOVEMBER, 3_000_000)], PRICES, 1_000_000)
    assert costs["m", NOVEMBER] * 3_000_000 == pytest.approx(4.0)


def test_each_month_and_model_has_an_allowance_of_its_own() -> None:
    december = NOVEMBER + 30 * 24
    rows = [row(NOVEMBER, 5), row(december, 5), row(NOVEMBER, 5, "other")]
    assert set(rates(rows, {"m": 2.0, "other": 2.0}, 5).values()) == {0.0}


def test_rows_of_several_tenants_in_an_hour_cost_the_same() -> None:
    costs = rates([row(NOVEMBER, 500_000), row(NOVEMBER, 500_000)], PRICES, 0)
    assert costs == {("m", NOVEMBER): pytest.approx(2.0 / 1_000_000)}


def test_the_cost_of_a_month_does_not_depend_on_how_it_was_spread() -> None:
    spread = rates([row(NOVEMBER + hour, 100_000) for hour in range(20)], PRICES, 700_000)
    assert sum(cost * 100_000 for cost in spread.values()) == pytest.approx(2.0 * 1.3)


def test_a_model_that_is_no_longer_served_costs_nothing() -> None:
    assert rates([row(NOVEMBER, 5, "gone")], PRICES, 0) == {("gone", NOVEMBER): 0.0}
