"""The official client, unmodified, over REST and over gRPC."""

from __future__ import annotations

import importlib.metadata
import json
import uuid
import warnings
from typing import Any

import pytest
from grpc import RpcError, StatusCode
from qdrant_client import QdrantClient, models
from qdrant_client.common.version_check import is_compatible
from qdrant_client.http.exceptions import UnexpectedResponse

UUID = str(uuid.UUID(int=7))

POINTS = [
    models.PointStruct(
        id=number,
        vector={
            "dense": [1.0, number / 10, 0.0, 0.5],
            "sparse": models.SparseVector(indices=[number, 100], values=[1.0, number / 10]),
            "multi": [[1.0, number / 10], [0.0, 1.0]],
        },
        payload={"colour": ["red", "blue"][number % 2], "number": number, "nested": {"none": None, "list": [1, 2.5]}},
    )
    for number in range(1, 7)
]
BOTH = "rest", "grpc"


def make(client: QdrantClient) -> None:
    client.create_collection(
        "things",
        vectors_config={
            "dense": models.VectorParams(size=4, distance=models.Distance.COSINE),
            "multi": models.VectorParams(
                size=2,
                distance=models.Distance.DOT,
                multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
            ),
        },
        sparse_vectors_config={"sparse": models.SparseVectorParams(modifier=models.Modifier.IDF)},
        metadata={"made": "here"},
    )
    client.upsert("things", POINTS)
    client.create_payload_index("things", "colour", models.PayloadSchemaType.KEYWORD)
    client.create_payload_index("things", "number", models.PayloadSchemaType.INTEGER)


def ids(response: models.QueryResponse) -> list[Any]:
    return [point.id for point in response.points]


def test_a_client_finds_a_server_whose_version_suits_it(client: QdrantClient) -> None:
    info = client.info()
    assert "embedded" in info.title
    assert is_compatible(importlib.metadata.version("qdrant-client"), info.version)


def test_a_collection_is_made_described_changed_and_deleted(client: QdrantClient) -> None:
    assert not client.collection_exists("things")
    make(client)
    assert client.collection_exists("things")
    assert [found.name for found in client.get_collections().collections] == ["things"]
    info = client.get_collection("things")
    assert info.status == models.CollectionStatus.GREEN
    assert info.points_count == len(POINTS)
    assert info.config.metadata == {"made": "here"}
    assert isinstance(info.config.params.vectors, dict)
    assert info.config.params.vectors["dense"].distance == models.Distance.COSINE
    assert client.update_collection("things", metadata={"changed": True})
    assert client.get_collection("things").config.metadata == {"made": "here", "changed": True}
    assert client.delete_collection("things")
    assert not client.delete_collection("things")
    assert not client.collection_exists("things")


def test_an_alias_stands_for_its_collection(client: QdrantClient) -> None:
    make(client)
    create = models.CreateAlias(collection_name="things", alias_name="stuff")
    assert client.update_collection_aliases([models.CreateAliasOperation(create_alias=create)])
    assert client.count("stuff").count == len(POINTS)
    assert client.get_aliases() == client.get_collection_aliases("things")
    assert client.get_aliases().aliases[0].alias_name == "stuff"


def test_points_come_back_as_they_were_put_in(client: QdrantClient) -> None:
    make(client)
    [point] = client.retrieve("things", [3], with_vectors=True)
    assert point.payload == POINTS[2].payload
    vector: Any = point.vector
    assert vector["sparse"].indices == [3, 100]
    assert vector["sparse"].values == pytest.approx([1.0, 0.3])
    assert vector["multi"][0] == pytest.approx([1.0, 0.3])
    length = sum(value**2 for value in (1.0, 0.3, 0.0, 0.5)) ** 0.5
    assert vector["dense"] == pytest.approx([1 / length, 0.3 / length, 0, 0.5 / length])


def test_scrolling_goes_through_all_points_once(client: QdrantClient) -> None:
    make(client)
    seen, offset = [], None
    while True:
        page, offset = client.scroll("things", limit=4, offset=offset)
        seen += [point.id for point in page]
        if offset is None:
            break
    assert seen == [point.id for point in POINTS]
    ordered, _ = client.scroll("things", order_by=models.OrderBy(key="number", direction=models.Direction.DESC))
    assert [point.id for point in ordered] == [6, 5, 4, 3, 2, 1]


def test_every_way_of_changing_points_works(client: QdrantClient) -> None:
    make(client)
    client.set_payload("things", {"colour": "green"}, points=[1])
    client.set_payload("things", {"deep": 1}, points=[1], key="nested.more")
    client.overwrite_payload("things", {"only": 1}, points=[2])
    client.delete_payload("things", ["number"], points=[3])
    client.clear_payload("things", points_selector=[4])
    client.update_vectors("things", [models.PointVectors(id=5, vector={"dense": [0.0, 0.0, 1.0, 0.0]})])
    client.delete_vectors("things", ["multi"], [5])
    client.delete("things", models.Filter(must=[models.HasIdCondition(has_id=[6])]))
    found = {point.id: point for point in client.retrieve("things", range(1, 7), with_vectors=True)}
    assert found[1].payload == {
        "colour": "green", "number": 1, "nested": {"none": None, "list": [1, 2.5], "more": {"deep": 1}}
    }  # fmt: skip
    assert found[2].payload == {"only": 1}
    assert found[3].payload is not None
    assert "number" not in found[3].payload
    assert not found[4].payload
    assert isinstance(found[5].vector, dict)
    assert found[5].vector["dense"] == [0, 0, 1, 0]
    assert "multi" not in found[5].vector
    assert 6 not in found


def test_a_batch_of_changes_is_done_in_order(client: QdrantClient) -> None:
    make(client)
    results = client.batch_update_points(
        "things",
        [
            models.UpsertOperation(upsert=models.PointsList(points=[models.PointStruct(id=UUID, vector={})])),
            models.SetPayloadOperation(set_payload=models.SetPayload(payload={"new": True}, points=[UUID])),
            models.DeleteOperation(delete=models.PointIdsList(points=[1, 2])),
        ],
    )
    assert len({result.operation_id for result in results}) == 3
    assert {result.status for result in results} == {models.UpdateStatus.COMPLETED}
    assert client.retrieve("things", [1, 2, UUID])[0].payload == {"new": True}
    assert client.count("things").count == len(POINTS) - 1


def test_an_upsert_may_be_limited_to_points_that_are_there_or_not(client: QdrantClient) -> None:
    make(client)
    point = models.PointStruct(id=1, vector={}, payload={"new": 1})
    client.upsert("things", [point], update_mode=models.UpdateMode.INSERT_ONLY)
    assert client.retrieve("things", [1])[0].payload == POINTS[0].payload
    client.upsert("things", [point], update_filter=models.Filter(must_not=[models.HasIdCondition(has_id=[1])]))
    assert client.retrieve("things", [1])[0].payload == POINTS[0].payload
    client.upsert("things", [point], update_mode=models.UpdateMode.UPDATE_ONLY)
    assert client.retrieve("things", [1])[0].payload == {"new": 1}


def test_indexes_and_vector_names_come_and_go(client: QdrantClient) -> None:
    make(client)
    for schema in (models.PayloadSchemaType.KEYWORD, models.IntegerIndexParams(type=models.IntegerIndexType.INTEGER)):
        created = client.create_payload_index("things", "number", schema)
        assert created.status == models.UpdateStatus.COMPLETED
    assert client.delete_payload_index("things", "number").status == models.UpdateStatus.COMPLETED
    dense = models.DenseVectorConfig(size=2, distance=models.Distance.DOT)
    client.create_vector_name("things", "more", models.DenseVectorNameConfig(dense=dense))
    client.create_vector_name("things", "words", models.SparseVectorNameConfig(sparse=models.SparseVectorConfig()))
    client.update_vectors("things", [models.PointVectors(id=1, vector={"more": [1.0, 2.0]})])
    assert ids(client.query_points("things", query=[1.0, 1.0], using="more")) == [1]
    client.delete_vector_name("things", "more")
    assert "more" not in client.get_collection("things").config.params.vectors  # type: ignore[operator]


RED = models.Filter(must=[models.FieldCondition(key="colour", match=models.MatchValue(value="red"))])
NEAR = [1.0, 0.4, 0.0, 0.5]
WORDS = models.SparseVector(indices=[100, 2], values=[1.0, 1.0])

QUERIES: dict[str, dict[str, Any]] = {
    "dense": {"query": NEAR, "using": "dense"},
    "with payload and vectors": {"query": NEAR, "using": "dense", "with_payload": True, "with_vectors": True},
    "with parts of them": {"query": NEAR, "using": "dense", "with_payload": ["nested.list"], "with_vectors": ["multi"]},
    "without some of it": {
        "query": 2, "using": "dense", "with_payload": models.PayloadSelectorExclude(exclude=["number"])
    },
    "sparse with IDF": {"query": WORDS, "using": "sparse"},
    "multivector": {"query": [[0.5, 0.5], [1.0, 0.0]], "using": "multi"},
    "filtered": {"query": NEAR, "using": "dense", "query_filter": RED, "limit": 2, "offset": 1},
    "over a threshold": {"query": NEAR, "using": "dense", "score_threshold": 0.995},
    "by id": {"query": 2, "using": "dense"},
    "by id in the same collection, looked up": {
        "query": 2, "using": "dense", "lookup_from": models.LookupLocation(collection="things", vector="dense")
    },
    "recommend": {
        "query": models.RecommendQuery(recommend=models.RecommendInput(positive=[1, NEAR], negative=[6])),
        "using": "dense",
    },
    "recommend sparse by best score": {
        "query": models.RecommendQuery(
            recommend=models.RecommendInput(positive=[WORDS], strategy=models.RecommendStrategy.BEST_SCORE)
        ),
        "using": "sparse",
    },
    "discover": {
        "query": models.DiscoverQuery(
            discover=models.DiscoverInput(target=NEAR, context=[models.ContextPair(positive=1, negative=6)])
        ),
        "using": "dense",
    },
    "context": {
        "query": models.ContextQuery(context=[models.ContextPair(positive=NEAR, negative=6)]),
        "using": "dense",
    },
    "mmr": {"query": models.NearestQuery(nearest=NEAR, mmr=models.Mmr(diversity=0.3)), "using": "dense"},
    "ordered": {"query": models.OrderByQuery(order_by="number")},
    "all": {},
    "rrf": {
        "prefetch": [
            models.Prefetch(query=NEAR, using="dense", limit=4),
            models.Prefetch(query=WORDS, using="sparse", filter=RED),
        ],
        "query": models.FusionQuery(fusion=models.Fusion.RRF),
        "with_payload": True,
    },
    "rrf with weights": {
        "prefetch": [models.Prefetch(query=NEAR, using="dense"), models.Prefetch(query=WORDS, using="sparse")],
        "query": models.RrfQuery(rrf=models.Rrf(k=10, weights=[3.0, 1.0])),
    },
    "dbsf": {
        "prefetch": [models.Prefetch(query=NEAR, using="dense"), models.Prefetch(query=WORDS, using="sparse")],
        "query": models.FusionQuery(fusion=models.Fusion.DBSF),
    },
    "rescored": {
        "prefetch": models.Prefetch(prefetch=[models.Prefetch(query=WORDS, using="sparse")], query=NEAR, using="dense"),
        "query": [[1.0, 0.0]],
        "using": "multi",
    },
    "formula": {
        "prefetch": models.Prefetch(query=NEAR, using="dense"),
        "query": models.FormulaQuery(formula=models.SumExpression(sum=["$score", "number"])),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_has_the_same_answer_over_both_protocols_and_in_local_mode(
    name: str, clients: dict[str, QdrantClient]
) -> None:
    make(clients["rest"])
    query = QUERIES[name]
    over_rest, over_grpc = (
        clients[protocol].query_points("things", **{"with_payload": False} | query) for protocol in BOTH
    )
    assert over_rest.points
    assert by_score(plain(over_rest)) == by_score(plain(over_grpc))
    local = QdrantClient(":memory:")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its payload indexes have no effect
        make(local)
    expected = local.query_points("things", **{"with_payload": False} | query)
    assert by_score(plain(over_rest)) == by_score(plain(expected))


def by_score(answer: Any) -> Any:
    """An answer whose points of equal score, which may come in any order, come in that of their ids."""
    return sorted(answer["points"], key=lambda point: (-point["score"], point["id"]))


def plain(model: Any) -> Any:
    """A model as JSON values, with floats to six digits, and payloads that are absent or empty alike."""

    def rounded(value: Any) -> Any:
        if isinstance(value, float):
            return round(value, 5)
        if isinstance(value, dict):
            return {key: rounded(inner) for key, inner in value.items() if not (key == "payload" and not inner)}
        return [rounded(inner) for inner in value] if isinstance(value, list) else value

    return rounded(json.loads(model.model_dump_json(exclude_none=True)))


def test_several_queries_have_the_answers_of_each(client: QdrantClient) -> None:
    make(client)
    requests = [
        models.QueryRequest(query=NEAR, using="dense", limit=2),
        models.QueryRequest(query=WORDS, using="sparse"),
    ]
    first, second = client.query_batch_points("things", requests)
    assert ids(first) == ids(client.query_points("things", query=NEAR, using="dense", limit=2))
    assert ids(second)[0] == 2


def test_groups_facets_and_matrices_are_the_same_over_both_protocols(clients: dict[str, QdrantClient]) -> None:
    make(clients["rest"])
    over: list[QdrantClient] = [clients[protocol] for protocol in BOTH]
    groups = [c.query_points_groups("things", "colour", query=NEAR, using="dense", group_size=2, limit=2) for c in over]
    facets = [c.facet("things", "colour") for c in over]
    pairs = [c.search_matrix_pairs("things", using="dense", sample=6) for c in over]
    offsets = [c.search_matrix_offsets("things", using="dense", sample=6) for c in over]
    assert {group.id: [hit.id for hit in group.hits] for group in groups[0].groups} == {"red": [4, 6], "blue": [5, 3]}
    assert plain(groups[0]) == plain(groups[1])
    assert {hit.value: hit.count for hit in facets[0].hits} == {"red": 3, "blue": 3}
    assert facets[0] == facets[1]
    assert len(pairs[0].pairs) == len(pairs[1].pairs) == 18
    assert len(offsets[0].ids) == len(offsets[1].ids) == 6


def test_a_group_brings_what_another_collection_has_of_it(client: QdrantClient) -> None:
    make(client)
    client.create_collection("colours", models.VectorParams(size=1, distance=models.Distance.DOT))
    client.create_collection("numbers", models.VectorParams(size=1, distance=models.Distance.DOT))
    client.upsert("numbers", [models.PointStruct(id=3, vector=[1.0], payload={"name": "three"})])
    for with_payload, expected in ((True, {"name": "three"}), (False, None)):
        lookup = models.WithLookup(collection="numbers", with_payload=with_payload)
        answer = client.query_points_groups("things", "number", query=3, using="dense", with_lookup=lookup, limit=10)
        assert not any(group.id == 3 for group in answer.groups)
        answer = client.query_points_groups("things", "number", query=NEAR, using="dense", with_lookup=lookup)
        [three] = [group for group in answer.groups if group.id == 3]
        assert three.lookup is not None
        assert (three.lookup.payload or None) == expected


def test_the_idf_of_a_word_falls_when_more_points_have_it(client: QdrantClient) -> None:
    make(client)
    rare = client.query_points("things", query=models.SparseVector(indices=[2], values=[1.0]), using="sparse")
    client.update_vectors(
        "things",
        [models.PointVectors(id=4, vector={"sparse": models.SparseVector(indices=[2], values=[1.0])})],
    )
    common = client.query_points("things", query=models.SparseVector(indices=[2], values=[1.0]), using="sparse")
    assert ids(rare) == [2]
    assert sorted(ids(common)) == [2, 4]
    assert common.points[0].score < rare.points[0].score


REFUSED = [
    (lambda c: c.get_collection("none"), 404, StatusCode.NOT_FOUND, "Not found: Collection `none` doesn't exist!"),
    (
        lambda c: c.create_collection("things", models.VectorParams(size=1, distance=models.Distance.DOT)),
        409,
        StatusCode.ALREADY_EXISTS,
        "Wrong input: Collection `things` already exists!",
    ),
    (
        lambda c: c.query_points("things", query=[1.0], using="dense"),
        400,
        StatusCode.INVALID_ARGUMENT,
        "Wrong input: Vector dimension error: expected dim: 4, got 1",
    ),
    (
        lambda c: c.query_points("things", query=99, using="dense"),
        404,
        StatusCode.NOT_FOUND,
        "Not found: No point with id 99 found",
    ),
    (
        lambda c: c.set_payload("things", {"a": 1}, points=[99]),
        404,
        StatusCode.NOT_FOUND,
        "Not found: No point with id 99 found",
    ),
    (lambda c: c.create_full_snapshot(), 501, StatusCode.UNIMPLEMENTED, "QDRANT_URL"),
]


@pytest.mark.parametrize(("call", "status", "code", "text"), REFUSED)
def test_a_refusal_has_qdrants_words_and_each_protocols_status(
    call: Any, status: int, code: StatusCode, text: str, clients: dict[str, QdrantClient]
) -> None:
    make(clients["rest"])
    with pytest.raises(UnexpectedResponse) as over_rest:
        call(clients["rest"])
    assert over_rest.value.status_code == status
    assert text in json.loads(over_rest.value.content)["status"]["error"]
    with pytest.raises(RpcError) as over_grpc:
        call(clients["grpc"])
    assert over_grpc.value.code() == code
    assert text in (over_grpc.value.details() or "")
