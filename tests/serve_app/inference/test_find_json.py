from __future__ import annotations

import time
from typing import Any

import numpy as np
import orjson
import pytest

from deployments.contract import SparseVector
from deployments.errors import MalformedRequest, WrongInput
from serve_app.inference import find_json
from serve_app.protocol import json_text

OBJECT = {"text": "chocolate", "model": "m"}


def places(body: Any, schema: str) -> list[tuple[str, bool]]:
    return [(slot.where, slot.named) for slot in find_json.find(body, schema)]


@pytest.mark.parametrize(
    ("schema", "body", "expected"),
    [
        ("PointInsertOperations", {"points": [{"id": 1, "vector": OBJECT}]}, [("points[0].vector", False)]),
        (
            "PointInsertOperations",
            {"points": [{"id": 1, "vector": [0.5]}, {"id": 2, "vector": {"a": OBJECT, "b": [0.1]}}]},
            [("points[1].vector.a", True)],
        ),
        (
            "PointInsertOperations",
            {"batch": {"ids": [1, 2], "vectors": [OBJECT, OBJECT]}},
            [("batch.vectors[0]", False), ("batch.vectors[1]", False)],
        ),
        (
            "PointInsertOperations",
            {"batch": {"ids": [1], "vectors": {"a": [OBJECT], "b": [[0.1]]}}},
            [("batch.vectors.a[0]", True)],
        ),
        ("UpdateVectors", {"points": [{"id": 1, "vector": {"a": OBJECT}}]}, [("points[0].vector.a", True)]),
        (
            "UpdateOperations",
            {
                "operations": [
                    {"upsert": {"points": [{"id": 1, "vector": OBJECT}]}},
                    {"delete": {"points": [1]}},
                    {"update_vectors": {"points": [{"id": 1, "vector": {"a": OBJECT}}]}},
                ]
            },
            [
                ("operations[0].upsert.points[0].vector", False),
                ("operations[2].update_vectors.points[0].vector.a", True),
            ],
        ),
        # Names that Qdrant takes beside those of its schema.
        ("PointInsertOperations", {"points": [{"id": 1, "vectors": OBJECT}]}, [("points[0].vectors", False)]),
        ("UpdateVectors", {"points": [{"id": 1, "vectors": {"a": OBJECT}}]}, [("points[0].vectors.a", True)]),
        ("QueryRequest", {"query": OBJECT}, [("query", False)]),
        ("QueryRequest", {"query": OBJECT, "using": "a"}, [("query", True)]),
        ("QueryRequest", {"query": {"nearest": OBJECT, "mmr": {"diversity": 0.5}}}, [("query.nearest", False)]),
        (
            "QueryRequest",
            {"query": {"recommend": {"positive": [1, OBJECT], "negative": [[0.1], OBJECT]}}},
            [("query.recommend.positive[1]", False), ("query.recommend.negative[1]", False)],
        ),
        (
            "QueryRequest",
            {"query": {"discover": {"target": OBJECT, "context": [{"positive": OBJECT, "negative": 3}]}}},
            [("query.discover.target", False), ("query.discover.context[0].positive", False)],
        ),
        (
            "QueryRequest",
            {"query": {"context": {"positive": OBJECT, "negative": OBJECT}}},
            [("query.context.positive", False), ("query.context.negative", False)],
        ),
        (
            "QueryRequest",
            {"query": {"relevance_feedback": {"target": OBJECT, "feedback": [{"example": OBJECT, "score": 1.0}]}}},
            [("query.relevance_feedback.target", False), ("query.relevance_feedback.feedback[0].example", False)],
        ),
        (
            "QueryRequest",
            {"prefetch": [{"query": OBJECT, "using": "a", "prefetch": {"query": OBJECT}}], "query": {"fusion": "rrf"}},
            [("prefetch[0].query", True), ("prefetch[0].prefetch.query", False)],
        ),
        ("QueryRequestBatch", {"searches": [{"query": [0.1]}, {"query": OBJECT}]}, [("searches[1].query", False)]),
        ("QueryGroupsRequest", {"query": OBJECT, "group_by": "g"}, [("query", False)]),
    ],
)
def test_objects_are_found_wherever_a_vector_may_stand(
    schema: str, body: Any, expected: list[tuple[str, bool]]
) -> None:
    assert places(body, schema) == expected


def test_what_looks_like_an_object_in_a_payload_or_a_filter_is_data() -> None:
    upsert = {"points": [{"id": 1, "vector": [0.1], "payload": {"vector": OBJECT, "points": [{"vector": OBJECT}]}}]}
    query = {"query": [0.1], "filter": {"must": [{"key": "query", "match": {"value": OBJECT}}]}}
    assert places(upsert, "PointInsertOperations") == []
    assert places(query, "QueryRequest") == []


def test_named_vectors_may_be_called_as_the_keys_of_an_object() -> None:
    body = {"points": [{"id": 1, "vector": {"text": OBJECT, "model": [0.1], "image": [[0.1]]}}]}
    assert places(body, "PointInsertOperations") == [("points[0].vector.text", True)]


def test_filling_changes_the_slots_and_nothing_else() -> None:
    body = {"points": [{"id": 1, "vector": {"a": OBJECT, "b": OBJECT, "c": OBJECT}, "payload": {"x": OBJECT}}]}
    first, second, third = find_json.find(body, "PointInsertOperations")
    first.put(np.array([0.5, 0.25], np.float32))
    second.put(SparseVector(np.array([3, 9], np.uint32), np.array([1.5, 2.5], np.float32)))
    third.put(np.ones((3, 2), np.float32)[:, :1])
    assert orjson.loads(find_json.dump(body)) == {
        "points": [
            {
                "id": 1,
                "vector": {
                    "a": [0.5, 0.25],
                    "b": {"indices": [3, 9], "values": [1.5, 2.5]},
                    "c": [[1.0], [1.0], [1.0]],
                },
                "payload": {"x": OBJECT},
            }
        ]
    }


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"text": "a", "model": ""}, "'model'"),
        ({"text": "a", "image": "b", "model": "m"}, "exactly one of"),
        ({"text": "a", "model": "m", "option": {}}, "no 'option'"),
        ({"text": "a", "model": "m", "options": [1]}, "options: expected an object"),
    ],
)
def test_a_malformed_object_is_refused_with_its_place(wrong: Any, said: str) -> None:
    with pytest.raises(MalformedRequest) as caught:
        find_json.find({"points": [{"vector": [0.1]}, {"vector": {"a": wrong}}]}, "PointInsertOperations")
    assert caught.value.message.startswith("points[1].vector.a")
    assert said in caught.value.message


@pytest.mark.parametrize(
    "query",
    [
        {"text": "red"},
        {"text": {"query": "red", "scoring": {"bm25": {"k": 1.5}}}},
        {"text": "red", "options": {}},
        {"model": "m"},
        {"image": "a"},
    ],
)
def test_an_object_without_both_a_model_and_an_input_is_for_qdrant_to_judge(query: Any) -> None:
    body = {"query": query, "using": "t", "prefetch": [{"query": OBJECT, "using": "a"}]}
    assert places(body, "QueryRequest") == [("prefetch[0].query", True)]


@pytest.mark.parametrize(
    ("schema", "body", "where"),
    [
        ("PointInsertOperations", {"points": [{"vector": [0.1]}, {"vector": {"text": "a"}}]}, "points[1].vector"),
        ("PointInsertOperations", {"points": [{"vector": {"a": {"image": "b"}}}]}, "points[0].vector.a"),
        ("PointInsertOperations", {"points": [{"vector": {"text": [0.1], "image": [0.2]}}]}, None),
        ("PointInsertOperations", {"points": [{"vector": {"text": "a", "model": 3}}]}, None),
        ("QueryRequest", {"query": {"nearest": {"text": "a"}}}, "query.nearest"),
        ("QueryRequest", {"query": {"image": "a"}}, "query"),
        ("QueryRequest", {"query": {"text": "a", "options": {}}}, "query"),
        ("QueryRequest", {"query": {"text": "a"}, "using": "t"}, None),
        ("QueryRequest", {"query": {"text": {"query": "a"}}, "using": "t"}, None),
    ],
)
def test_what_reads_like_an_object_without_a_model_is_told_apart(schema: str, body: Any, where: str | None) -> None:
    assert find_json.without_model(body, schema) == where


@pytest.mark.parametrize("body", [None, 1, "x", [], {}, {"points": 3}, {"points": [None, [], {"vector": None}]}])
def test_a_body_of_another_shape_holds_no_objects(body: Any) -> None:
    assert find_json.find(body, "PointInsertOperations") == []


def test_deep_nesting_is_refused() -> None:
    body: Any = {"query": OBJECT}
    for _ in range(200):
        body = {"prefetch": [body]}
    with pytest.raises(MalformedRequest, match="nested deeper"):
        find_json.find(body, "QueryRequest")


def test_deep_nesting_beside_the_vectors_is_refused() -> None:
    payload = json_text.parse(b"[" * 900 + b"]" * 900)
    with pytest.raises(MalformedRequest, match="nested deeper"):
        find_json.dump({"points": [{"id": 1, "vector": np.ones(3, np.float32), "payload": {"a": payload}}]})


def test_a_body_without_the_key_is_known_unparsed() -> None:
    assert not find_json.may_hold_objects(b'{"points": [{"id": 1, "vector": [0.1]}]}')
    assert find_json.may_hold_objects(b'{"text": "a", "model": "m"}')
    assert find_json.may_hold_objects(b'{"text": "a", "mod\\u0065l": "m"}')


def test_a_long_name_is_not_written_out_for_each_value_below_it() -> None:
    body = {"batch": {"ids": [], "vectors": {"n" * 1_000_000: [{}] * 20_000}}}
    began = time.process_time()
    assert find_json.find(body, "PointInsertOperations") == []
    assert time.process_time() - began < 1, "a guard: 20 GB would be copied"


def test_a_place_shows_the_beginning_of_a_long_name() -> None:
    body = {"points": [{"vector": {"n" * 1000: OBJECT}}]}
    assert places(body, "PointInsertOperations") == [(f"points[0].vector.{'n' * 100}", True)]


def test_no_more_objects_are_looked_for_than_a_request_may_have() -> None:
    points = [{"vector": OBJECT}] * 3
    assert len(find_json.find({"points": points}, "PointInsertOperations", most=3)) == 3
    after = [*points, {"vector": OBJECT}, {"vector": {"text": "a", "model": "m", "this": "is never read"}}]
    with pytest.raises(WrongInput, match="at most 3 are allowed"):
        find_json.find({"points": after}, "PointInsertOperations", most=3)


def test_a_body_of_numbers_lacks_the_letters_of_an_object() -> None:
    assert find_json.lacks_letters(b'{"points": [{"id": 1, "vector": [0.1], "payload": {"key": "value"}}]}')
    for body in (b'{"text": "a", "model": "n"}', b'{"text": "a", "\\u006dodel": "n"}'):
        assert not find_json.lacks_letters(body)
        assert find_json.may_hold_objects(body)
    assert not find_json.may_hold_objects(b'{"payload": {"a": "some more \\" memory"}}')


def test_an_object_of_a_text_alone_is_read_as_one_with_empty_options() -> None:
    short, long = ({"vector": {**OBJECT, **options}} for options in ({}, {"options": {}}))
    first, second = find_json.find({"points": [short, long]}, "PointInsertOperations")
    for name in ("input", "data", "model", "options"):
        assert getattr(first.wanted, name) == getattr(second.wanted, name)
