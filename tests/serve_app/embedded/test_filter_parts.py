"""A filter that is asked for part by part lets the same points pass as in one go."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve_app.embedded.edge import filter_parts
from serve_app.embedded.edge.filter_work import _among
from serve_app.embedded.edge.filters import FILTER
from tests.support.embedded import Rest

POINTS = 12
IDS = list(range(POINTS))

CONDITIONS = st.one_of(
    st.builds(lambda low, size: {"key": "n", "range": {"gte": low, "lt": low + size}}, st.integers(0, 9), st.just(6)),
    st.builds(lambda value: {"key": "t", "match": {"value": value}}, st.sampled_from(["a", "b", "c"])),
    st.builds(lambda ids: {"has_id": ids}, st.lists(st.sampled_from(IDS), min_size=1, max_size=6)),
    st.sampled_from(
        [{"is_empty": {"key": "t"}}, {"nested": {"key": "in", "filter": {"must": [{"is_null": {"key": "x"}}]}}}]
    ),
)


def clauses(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(CONDITIONS | inner, max_size=4)
    enough = st.builds(lambda of, count: {"conditions": of, "min_count": count}, some, st.integers(1, 3))
    return st.fixed_dictionaries(
        {}, optional={"must": some | inner, "should": some, "must_not": some, "min_should": enough}
    )


FILTERS = st.recursive(clauses(CONDITIONS), clauses, max_leaves=6)


@pytest.fixture
def shard(rest: Rest) -> Any:
    rest.result("PUT", "/collections/c", {"vectors": {"size": 1, "distance": "Dot"}})
    points = [{"id": n, "vector": [n], "payload": {"n": n, **({"t": "abc"[n % 3]} if n % 4 else {})}} for n in IDS]
    rest.result("PUT", "/collections/c/points", {"points": points})
    return rest.store._engine.collection("c").shard


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=FILTERS, most=st.integers(1, 3))
def test_parts_let_pass_what_the_whole_does(shard: Any, chosen: Any, most: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(filter_parts, "MOST", most)
        found = filter_parts.parts(chosen).passing(IDS, lambda ids, condition: _among(shard, ids, condition))
    assert found == _among(shard, IDS, FILTER(chosen, ""))


@pytest.mark.parametrize("how", ["must", "should", "must_not", "min_should"])
def test_no_part_has_many_conditions(shard: Any, how: str) -> None:
    many: Any = [{"key": "n", "match": {"value": -1 - number}} for number in range(1000)]
    if how == "min_should":
        many = {"conditions": many, "min_count": 1}
    asked = []

    def ask(ids: list[Any], condition: Any) -> list[Any]:
        asked.append(condition)
        return ids

    filter_parts.parts({how: many}).passing(IDS, ask)
    assert len(asked) >= (1000 / filter_parts.MOST if how == "must" else 1)
    for one in asked:
        assert len([*(one.must or []), *(one.should or []), *(one.must_not or [])]) <= filter_parts.MOST
