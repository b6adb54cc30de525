"""Admission: in tokens, whole requests, and places that are given back."""

from __future__ import annotations

import pytest

from deployments.catalogue.card import ModelCard
from deployments.errors import Overloaded
from serve_app.batching.admission import Admission
from serve_app.inference.plan import Group
from tests.support.cards import CATALOGUE


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


DENSE = CATALOGUE.find("org/dense", "test").model_copy(update={"context_window": 1000})
OTHER = DENSE.model_copy(update={"name": "org/other"})


def group(tokens: int, card: ModelCard = DENSE) -> Group:
    """About so many tokens, in texts of ten."""
    return Group(card, "update", {}, card.modality, inputs=["x" * 32] * (tokens // 10))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admission(clock: Clock) -> Admission:
    return Admission(clock)


def test_work_is_let_in_up_to_the_limit_and_again_when_some_is_done(admission: Admission) -> None:
    first = admission.admitted([group(60)], 100)
    with admission.admitted([group(40)], 100):
        first.__enter__()
        with pytest.raises(Overloaded, match="100 tokens wait for org/dense; with 10 more there would be over 100"):
            admission.admitted([group(10)], 100).__enter__()
        first.__exit__(None, None, None)
        with admission.admitted([group(10)], 100):
            pass


def test_one_large_request_is_let_in_where_nothing_waits(admission: Admission) -> None:
    with admission.admitted([group(1000)], 100), pytest.raises(Overloaded):
        admission.admitted([group(10)], 100).__enter__()


def test_a_request_is_let_in_whole_or_not_at_all(admission: Admission) -> None:
    """Its parts for models with room take none of it when another model has no room."""
    with admission.admitted([group(100)], 100):
        with pytest.raises(Overloaded):
            admission.admitted([group(100, OTHER), group(10)], 100).__enter__()
        with admission.admitted([group(100, OTHER)], 100):
            pass


def test_groups_of_one_model_count_together(admission: Admission) -> None:
    with admission.admitted([group(50)], 100), pytest.raises(Overloaded):
        admission.admitted([group(30), group(30)], 100).__enter__()


def test_what_fails_gives_its_place_back(admission: Admission) -> None:
    with pytest.raises(LookupError), admission.admitted([group(100)], 100):
        raise LookupError
    with admission.admitted([group(100)], 100):
        pass


def test_the_wait_follows_from_the_rate_of_the_last_seconds(admission: Admission, clock: Clock) -> None:
    for _ in range(60):
        with admission.admitted([group(100)], 10**6):
            clock.now += 1  # so 100 tokens a second
    with admission.admitted([group(2000)], 100), pytest.raises(Overloaded) as refused:
        admission.admitted([group(10)], 100).__enter__()
    assert refused.value.retry_after == pytest.approx(20, rel=0.1)


def test_without_a_rate_the_wait_is_bounded(admission: Admission) -> None:
    with admission.admitted([group(10**5)], 100), pytest.raises(Overloaded) as refused:
        admission.admitted([group(10)], 100).__enter__()
    assert refused.value.retry_after == 60


def test_a_text_counts_for_no_more_than_the_model_reads(admission: Admission) -> None:
    long = Group(DENSE, "update", {}, "text", inputs=["x" * 10**6])
    with admission.admitted([long], 2000), admission.admitted([group(990)], 2000):
        pass


def test_images_count_by_their_number(admission: Admission) -> None:
    images = Group(CATALOGUE.find("org/vision", "test"), "update", {}, "image", inputs=["A" * 10**6] * 2)
    with admission.admitted([images], 150), admission.admitted([Group(images.card, "update", {}, ["A"])], 150):
        pass
