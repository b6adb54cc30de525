from __future__ import annotations

from pathlib import Path

import pytest

from deployments.catalogue.card import ModelCard
from deployments.catalogue.catalogue import Catalogue
from deployments.errors import ConfigError, QuotaUsedUp
from serve_app.inference.plan import Group
from serve_app.ledger.quotas import Quota, Quotas, by_catalogue, month_of, until_next_month

NOVEMBER = 1_793_491_200.0
"""2026-11-01T00:00:00Z"""


class Clock:
    now = NOVEMBER + 30

    def __call__(self) -> float:
        return self.now


def card(name: str) -> ModelCard:
    return ModelCard(name=name, family="bm25", licence="-", model_card_url="-")


def group(model: str = "m", characters: int = 40) -> Group:
    return Group(card(model), "search", {}, "text", inputs=["x" * characters])


def spend(quotas: Quotas, tokens: int, model: str = "m", tenant: str = "shop") -> None:
    with quotas.held(tenant, [group(model)]) as spent:
        spent[model] = tokens


def quotas(clock: Clock, minute: int | None = None, month: int | None = None, model: str = "*") -> Quotas:
    quota = Quota(tokens_per_minute=minute, tokens_per_month=month)
    return Quotas({"shop": {model: quota}}, clock)


def test_a_request_is_let_in_while_anything_is_left() -> None:
    each = quotas(Clock(), minute=100)
    spend(each, 99)
    spend(each, 50)
    with pytest.raises(QuotaUsedUp, match="100 tokens a minute for m is used up") as caught:
        spend(each, 1)
    assert caught.value.retry_after == 30
    assert caught.value.limit == 100


def test_the_next_minute_is_a_new_one() -> None:
    clock = Clock()
    each = quotas(clock, minute=100)
    spend(each, 500)
    clock.now += 30
    spend(each, 1)


def test_every_model_and_every_tenant_has_its_own() -> None:
    each = quotas(Clock(), minute=100)
    spend(each, 100)
    spend(each, 100, model="other")
    spend(each, 100, tenant="somebody")
    spend(each, 100, tenant="somebody")


def test_a_quota_for_a_model_by_name_goes_before_the_one_for_all() -> None:
    each = Quotas({"shop": {"*": Quota(tokens_per_minute=10), "m": Quota(tokens_per_minute=1000)}}, Clock())
    spend(each, 500)
    spend(each, 1)
    spend(each, 10, model="other")
    with pytest.raises(QuotaUsedUp):
        spend(each, 1, model="other")


def test_while_a_request_runs_an_estimate_is_held() -> None:
    each = quotas(Clock(), minute=100)
    with each.held("shop", [group(characters=800)]) as spent:
        with pytest.raises(QuotaUsedUp):
            spend(each, 1)
        spent["m"] = 10
    assert each.left("shop", ["m"]).tokens == 90  # type: ignore[union-attr]


def test_a_request_that_fails_costs_nothing() -> None:
    each = quotas(Clock(), minute=100)
    with pytest.raises(RuntimeError), each.held("shop", [group(characters=800)]):
        raise RuntimeError
    assert each.left("shop", ["m"]).tokens == 100  # type: ignore[union-attr]


@pytest.mark.parametrize(("window", "seconds"), [("minute", 60), ("month", 30 * 24 * 3600)])
def test_what_is_held_over_the_end_of_a_window_takes_nothing_from_the_next(window: str, seconds: int) -> None:
    clock = Clock()
    each = quotas(clock, minute=1000) if window == "minute" else quotas(clock, month=1000)
    with each.held("shop", [group(characters=800)]) as spent:
        clock.now += seconds
        spend(each, 90)
        assert each.left("shop", ["m"]).tokens == 1000 - 90 - 202  # type: ignore[union-attr]
        assert sum(tokens for *_, tokens in each.snapshot()["spent"]) == 90 + 202
        spent["m"] = 10
    assert each.left("shop", ["m"]).tokens == 1000 - 90 - 10  # type: ignore[union-attr]


def test_a_hold_that_the_database_reports_in_between_is_still_given_back_once() -> None:
    clock = Clock()
    each = quotas(clock, month=1000)
    with each.held("shop", [group(characters=800)]) as spent:
        clock.now += 30 * 24 * 3600
        spend(each, 90)
        each.flushed([(("shop", "m"), 90)])
        each.learn_month(month_of(clock.now), {("shop", "m"): 90})
        spent["m"] = 10
    assert each.left("shop", ["m"]).tokens == 1000 - 90 - 10  # type: ignore[union-attr]


def test_what_others_spend_in_this_minute_counts() -> None:
    clock = Clock()
    here, there = quotas(clock, minute=100), quotas(clock, minute=100)
    spend(there, 60)
    here.merge([there.snapshot()])
    spend(here, 39)
    assert here.left("shop", ["m"]).tokens == 1  # type: ignore[union-attr]
    there.merge([here.snapshot()])
    assert there.left("shop", ["m"]).tokens == 1  # type: ignore[union-attr]
    snapshot = there.snapshot()
    clock.now += 60
    here.merge([snapshot])
    assert here.left("shop", ["m"]).tokens == 100  # type: ignore[union-attr]


def test_what_others_tell_of_a_tenant_without_quotas_here_is_left_out() -> None:
    """While new quotas are rolled out, replicas with the old ones still run."""
    clock = Clock()
    here, there = quotas(clock, minute=100), Quotas({"gone": {"*": Quota(tokens_per_minute=100)}}, clock)
    spend(there, 60, tenant="gone")
    here.merge([there.snapshot()])
    spend(here, 50)
    here.merge([there.snapshot()])
    assert here.fullest() == {("m", "minute"): 0.5}


def test_a_month_is_what_the_database_says_and_what_it_does_not_have_yet() -> None:
    clock = Clock()
    each = quotas(clock, month=1000)
    spend(each, 100)
    assert each.left("shop", ["m"]).tokens == 900  # type: ignore[union-attr]
    each.flushed([(("shop", "m"), 100)])
    assert each.left("shop", ["m"]).tokens == 900  # type: ignore[union-attr]
    each.learn_month(month_of(clock.now), {("shop", "m"): 300})
    assert each.left("shop", ["m"]).tokens == 700  # type: ignore[union-attr]
    spend(each, 50)
    assert each.left("shop", ["m"]).tokens == 650  # type: ignore[union-attr]
    each.flushed([(("shop", "m"), 50)])
    each.learn_month(month_of(clock.now), {("shop", "m"): 350})
    assert each.left("shop", ["m"]).tokens == 650  # type: ignore[union-attr]


def test_a_new_month_is_a_new_quota_and_says_when_it_comes() -> None:
    clock = Clock()
    each = quotas(clock, month=1000)
    spend(each, 1000)
    with pytest.raises(QuotaUsedUp, match="a month") as caught:
        spend(each, 1)
    assert caught.value.retry_after == pytest.approx(30 * 24 * 3600 - 30)
    clock.now += caught.value.retry_after
    spend(each, 1)
    assert each.left("shop", ["m"]).tokens == 999  # type: ignore[union-attr]


def test_the_tightest_quota_is_the_one_that_is_told() -> None:
    each = Quotas({"shop": {"*": Quota(tokens_per_minute=100, tokens_per_month=1000)}}, Clock())
    spend(each, 50)
    left = each.left("shop", ["m", "other"])
    assert left is not None
    assert (left.tokens, left.limit, left.reset_s) == (50, 100, 30)


def test_who_has_no_quota_is_told_nothing() -> None:
    each = quotas(Clock(), minute=100, model="m")
    assert each.left("somebody", ["m"]) is None
    assert each.left(None, ["m"]) is None
    assert each.left("shop", ["other"]) is None


def test_months_begin_with_their_first_hour() -> None:
    assert month_of(NOVEMBER) == month_of(NOVEMBER + 29 * 86400) == int(NOVEMBER // 3600)
    assert until_next_month(NOVEMBER + 29 * 86400) == 86400
    assert month_of(NOVEMBER + 30 * 86400) == int(NOVEMBER // 3600) + 30 * 24


def test_models_are_named_in_any_case_and_unknown_ones_are_refused() -> None:
    catalogue = Catalogue((card("Some/Model"),), Path("models.yaml"))
    quota = Quota(tokens_per_minute=1)
    assert by_catalogue({"shop": {"some/MODEL": quota, "*": quota}}, catalogue) == {
        "shop": {"Some/Model": quota, "*": quota}
    }
    with pytest.raises(ConfigError, match="'shop': quotas: no model 'nothing' is served"):
        by_catalogue({"shop": {"nothing": quota}}, catalogue)


def test_a_quota_has_to_limit_something() -> None:
    with pytest.raises(ValueError, match="tokens_per_minute, tokens_per_month, or both"):
        Quota()
