from __future__ import annotations

import numpy as np
import pytest
from qdrant_client import grpc

from deployments.contract import SparseVector
from deployments.errors import MalformedRequest
from serve_app.inference import find_proto

DOCUMENT = grpc.Document(text="chocolate", model="m", options={"mrl": grpc.Value(integer_value=2)})
INPUT = grpc.VectorInput(document=DOCUMENT)
IMAGE = grpc.VectorInput(image=grpc.Image(image=grpc.Value(string_value="aGk="), model="v"))


def test_objects_are_found_in_unnamed_and_named_vectors_of_an_upsert() -> None:
    message = grpc.UpsertPoints(
        points=[
            grpc.PointStruct(vectors=grpc.Vectors(vector=grpc.Vector(document=DOCUMENT))),
            grpc.PointStruct(vectors=grpc.Vectors(vector=grpc.Vector(dense=grpc.DenseVector(data=[0.5])))),
            grpc.PointStruct(
                vectors=grpc.Vectors(vectors=grpc.NamedVectors(vectors={"a": grpc.Vector(document=DOCUMENT)}))
            ),
        ]
    )
    found = find_proto.find(message)
    assert [(slot.where, slot.named) for slot in found] == [
        ("points[0].vectors.vector", False),
        ("points[2].vectors.vectors.vectors.a", True),
    ]
    assert found[0].wanted.data == "chocolate"
    assert found[0].wanted.options == {"mrl": 2}


def test_objects_are_found_in_queries_and_prefetches_at_any_depth() -> None:
    inner = grpc.PrefetchQuery(query=grpc.Query(nearest=IMAGE), using="a")
    message = grpc.QueryPoints(
        prefetch=[grpc.PrefetchQuery(prefetch=[inner])],
        query=grpc.Query(recommend=grpc.RecommendInput(positive=[INPUT], negative=[IMAGE])),
    )
    assert [(slot.where, slot.named, slot.wanted.input) for slot in find_proto.find(message)] == [
        ("prefetch[0].prefetch[0].query.nearest", True, "image"),
        ("query.recommend.positive[0]", False, "text"),
        ("query.recommend.negative[0]", False, "image"),
    ]


def test_filling_replaces_the_object_by_a_vector_of_each_kind() -> None:
    message = grpc.QueryPoints(
        query=grpc.Query(
            discover=grpc.DiscoverInput(
                target=INPUT, context=grpc.ContextInput(pairs=[grpc.ContextInputPair(positive=INPUT, negative=INPUT)])
            )
        )
    )
    target, positive, negative = find_proto.find(message)
    target.put(np.array([0.5, 0.25], np.float32))
    positive.put(SparseVector(np.array([3], np.uint32), np.array([1.5], np.float32)))
    negative.put(np.ones((2, 1), np.float32))
    assert find_proto.find(message) == []
    discover = message.query.discover
    pair = discover.context.pairs[0]
    assert list(discover.target.dense.data) == [0.5, 0.25]
    assert (list(pair.positive.sparse.indices), list(pair.positive.sparse.values)) == ([3], [1.5])
    assert [list(row.data) for row in pair.negative.multi_dense.vectors] == [[1.0], [1.0]]


def test_payloads_and_filters_are_not_walked() -> None:
    fields = {field.name for field in find_proto.ways(grpc.PointStruct.DESCRIPTOR)}
    assert fields == {"vectors"}
    assert "filter" not in {field.name for field in find_proto.ways(grpc.QueryPoints.DESCRIPTOR)}


def test_an_object_without_a_model_is_told_so_and_a_query_by_a_text_index_passes() -> None:
    nameless = grpc.UpsertPoints(
        points=[grpc.PointStruct(vectors=grpc.Vectors(vector=grpc.Vector(document=grpc.Document(text="a"))))]
    )
    with pytest.raises(MalformedRequest, match=r"points\[0\].vectors.vector: an inference object needs 'model'"):
        find_proto.find(nameless)
    text = grpc.Query(text=grpc.TextQuery(query="red"))
    message = grpc.QueryPoints(query=text, using="t", prefetch=[grpc.PrefetchQuery(query=grpc.Query(nearest=INPUT))])
    assert [slot.where for slot in find_proto.find(message)] == ["prefetch[0].query.nearest"]
