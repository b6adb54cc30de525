"""REST in Qdrant's shape: what is answered, what is refused, and that no route is forgotten."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from pydantic import TypeAdapter
from qdrant_client import grpc
from qdrant_client.http import models

from deployments.catalogue.catalogue import HOME
from serve_app.embedded.not_here import NOT_HERE
from serve_app.embedded.rest_routes import FIXED, ROUTES
from tests.support.embedded import Rest

OPENAPI = orjson.loads((HOME / "tests" / "data" / "qdrant-openapi.json").read_bytes())
DOCUMENTED = [
    (method.upper(), path)
    for path, methods in OPENAPI["paths"].items()
    for method in methods
    if method in ("get", "put", "post", "patch", "delete")
]

COLLECTION = {
    "vectors": {"dense": {"size": 4, "distance": "Cosine"}, "plain": {"size": 2, "distance": "Dot"}},
    "sparse_vectors": {"sparse": {"modifier": "idf"}},
}
POINTS = [
    {
        "id": number,
        "vector": {"dense": [1, number, 0, 0.5], "sparse": {"indices": [number, 9], "values": [1, 0.1]}},
        "payload": {"kind": ["odd", "even"][number % 2 == 0], "none": None},
    }
    for number in range(1, 5)
]


@pytest.fixture
def things(rest: Rest) -> Rest:
    """A store with a collection `things` of four points, and a collection `single` with one unnamed vector."""
    rest.result("PUT", "/collections/things", COLLECTION)
    rest.result("PUT", "/collections/things/points", {"points": POINTS})
    rest.result("PUT", "/collections/things/index", {"field_name": "kind", "field_schema": "keyword"})
    rest.result("PUT", "/collections/single", {"vectors": {"size": 4, "distance": "Dot"}})
    return rest


def everything(rest: Rest) -> Any:
    return rest.result("POST", "/collections/things/points/scroll", {"limit": 100, "with_vector": True})


@pytest.mark.parametrize(("method", "path"), DOCUMENTED)
def test_every_route_of_qdrant_is_there_or_says_that_a_server_is_needed(method: str, path: str, rest: Rest) -> None:
    known = (method, path) in ROUTES or (method, path) in FIXED
    elsewhere = any(re.fullmatch(f"{beginning}(/.*)?", path) for beginning, _ in NOT_HERE)
    assert known != elsewhere
    if elsewhere:
        status, text = rest.error(method, re.sub(r"{\w+}", "1", path))
        assert status == 501
        assert "QDRANT_URL" in text


def test_there_is_no_route_that_qdrant_does_not_have() -> None:
    """Or did not have: older SDKs still send these searches."""
    older = {"search", "search/batch", "search/groups", "recommend", "recommend/batch", "recommend/groups"}
    older |= {"discover", "discover/batch"}
    removed = {("POST", f"/collections/{{collection_name}}/points/{route}") for route in older}
    assert {*ROUTES, *FIXED} - set(DOCUMENTED) == removed


SEARCH = {"query": [1, 2, 0, 0], "using": "dense", "with_payload": True, "with_vector": True}
ANSWERED: list[tuple[str, str, str, Any]] = [
    ("GET", "/collections", "", None),
    ("GET", "/collections/{collection_name}", "", None),
    ("GET", "/collections/{collection_name}/exists", "", None),
    ("GET", "/collections/{collection_name}/points/{id}", "2", None),
    ("POST", "/collections/{collection_name}/points", "", {"ids": [1, 77]}),
    ("POST", "/collections/{collection_name}/points/scroll", "", {"limit": 2}),
    ("POST", "/collections/{collection_name}/points/count", "", {}),
    ("POST", "/collections/{collection_name}/facet", "", {"key": "kind"}),
    ("POST", "/collections/{collection_name}/points/query", "", SEARCH),
    ("POST", "/collections/{collection_name}/points/query/batch", "", {"searches": [SEARCH, {}]}),
    ("POST", "/collections/{collection_name}/points/query/groups", "", SEARCH | {"group_by": "kind"}),
    ("POST", "/collections/{collection_name}/points/search/matrix/pairs", "", {"using": "dense"}),
    ("PUT", "/collections/{collection_name}/points", "", {"points": POINTS}),
    ("POST", "/collections/{collection_name}/points/delete", "", {"filter": {}}),
    ("POST", "/collections/{collection_name}/points/batch", "", {"operations": [{"delete": {"points": [1]}}]}),
    ("PUT", "/collections/{collection_name}/index", "", {"field_name": "kind", "field_schema": "keyword"}),
    ("DELETE", "/collections/{collection_name}/index/{field_name}", "kind", None),
]


@pytest.mark.parametrize(("method", "template", "parameter", "body"), ANSWERED)
def test_an_answer_is_what_the_schema_says(method: str, template: str, parameter: str, body: Any, things: Rest) -> None:
    schema = OPENAPI["paths"][template][method.lower()]["responses"]["200"]["content"]["application/json"]["schema"]
    documented = schema["properties"]["result"]
    is_list = documented.get("type") == "array"
    model: Any = getattr(models, (documented["items"] if is_list else documented)["$ref"].rpartition("/")[2])
    path = re.sub(r"{\w+}", parameter, template.replace("{collection_name}", "things"))
    result = things.result(method, path, body)
    TypeAdapter(list[model] if is_list else model).validate_python(result, strict=False)
    assert result


def test_health_and_version_are_answered_as_qdrant_does(rest: Rest) -> None:
    assert rest.store.rest("GET", "/healthz", "", b"") == (200, b"healthz check passed")
    for path in ("/readyz", "/livez"):
        assert rest.store.rest("GET", path, "", b"")[0] == 200
    info = models.VersionInfo.model_validate_json(rest.store.rest("GET", "/", "", b"")[1])
    assert "embedded" in info.title


def test_fields_without_a_value_are_left_out_but_for_the_end_of_a_scroll(things: Rest) -> None:
    page = things.result("POST", "/collections/things/points/scroll", {"limit": 4})
    assert page["next_page_offset"] is None
    assert page["points"][0] == {"id": 1, "payload": {"kind": "odd", "none": None}}


def test_numbers_have_as_many_digits_as_32_bits_need(things: Rest) -> None:
    things.result("PUT", "/collections/single/points", {"points": [{"id": 1, "vector": [0.1, 0.2, 0.3, 1e-7]}]})
    body = {"query": [1, 0, 0, 0], "with_vector": True}
    [point] = things.result("POST", "/collections/single/points/query", body)["points"]
    assert point["vector"] == [0.1, 0.2, 0.3, 1e-7]
    assert point["score"] == 0.1


def test_a_query_brings_no_payload_unless_asked_and_a_scroll_brings_it(things: Rest) -> None:
    [point, *_] = things.result("POST", "/collections/things/points/query", {"query": 1, "using": "dense"})["points"]
    assert set(point) == {"id", "version", "score"}
    [point, *_] = things.result("POST", "/collections/things/points", {"ids": [1]})
    assert set(point) == {"id", "payload"}


@pytest.mark.parametrize(("threshold", "hits"), [(-1e300, 3), (1e300, 0)])
def test_a_threshold_may_be_beyond_every_score(threshold: float, hits: int, things: Rest) -> None:
    body = {"query": 1, "using": "dense", "score_threshold": threshold}
    assert len(things.result("POST", "/collections/things/points/query", body)["points"]) == hits


def test_points_may_come_in_columns(things: Rest) -> None:
    batch = {
        "ids": [7, 8],
        "vectors": {"plain": [[1, 2], [3, 4]], "sparse": [{"indices": [1], "values": [1]}] * 2},
        "payloads": [{"a": 1}, {"a": 2}],
    }
    things.result("PUT", "/collections/things/points", {"batch": batch})
    found = things.result("POST", "/collections/things/points", {"ids": [7, 8], "with_vector": ["plain"]})
    assert [(point["vector"]["plain"], point["payload"]["a"]) for point in found] == [([1, 2], 1), ([3, 4], 2)]
    things.result("PUT", "/collections/single/points", {"batch": {"ids": [1], "vectors": [[1, 2, 3, 4]]}})
    assert things.result("GET", "/collections/single/points/1")["vector"] == [1, 2, 3, 4]


def test_names_in_a_path_are_percent_encoded(rest: Rest) -> None:
    rest.result("PUT", "/collections/a%20b%C3%A9", {"vectors": {"size": 1, "distance": "Dot"}})
    assert rest.result("GET", "/collections")["collections"] == [{"name": "a bé"}]
    assert rest.result("GET", "/collections/a%20b%C3%A9/exists") == {"exists": True}


@pytest.mark.parametrize("name", ["..%2Fx", "%2Fetc", "a%2Fb", "..", "a%00b", "x" * 256, "%F0%9F%98%80" * 64])
def test_a_collection_stays_inside_the_folder(name: str, rest: Rest) -> None:
    status, _ = rest.error("PUT", f"/collections/{name}", {"vectors": {"size": 1, "distance": "Dot"}})
    assert status == 422
    assert rest.error("GET", f"/collections/{name}")[0] in {404, 422}
    assert rest.result("DELETE", f"/collections/{name}") is False


def upsert(vector: Any, **point: Any) -> tuple[str, str, Any]:
    return "PUT", "/collections/things/points", {"points": [*POINTS[:1], {"id": 9, "vector": vector, **point}]}


def search(**body: Any) -> tuple[str, str, Any]:
    return "POST", "/collections/things/points/query", body


DEEP: Any = {}
for _ in range(70):
    DEEP = {"in": [DEEP]}

REFUSED: dict[str, tuple[tuple[Any, ...], int, str]] = {
    "unknown route": (("GET", "/nowhere"), 404, "no such route"),
    "unknown method": (("DELETE", "/collections"), 404, "no such route"),
    "unknown collection": (("GET", "/collections/x"), 404, "Not found: Collection `x` doesn't exist!"),
    "write to an unknown collection": (
        ("PUT", "/collections/x/points", {"points": POINTS}), 404, "Not found: Collection `x` doesn't exist!"
    ),
    "existing collection": (
        ("PUT", "/collections/things", COLLECTION), 409, "Wrong input: Collection `things` already exists!"
    ),
    "unknown point": (("GET", "/collections/things/points/9"), 404, "Not found: Point with id 9 does not exists!"),
    "unknown point changed": (
        ("POST", "/collections/things/points/payload", {"payload": {}, "points": [9]}),
        404,
        "Not found: No point with id 9 found",
    ),
    "unknown point searched by": (search(query=9, using="dense"), 404, "Not found: No point with id 9 found"),
    "looked up in an unknown collection": (
        search(query=9, using="dense", lookup_from={"collection": "x"}), 404, "Not found: Collection x not found"
    ),
    "no JSON": (("PUT", "/collections/things/points", b"{points"), 400, "Format error in JSON body"),
    "no body": (("PUT", "/collections/things/points"), 400, "Format error in JSON body"),
    "deep JSON": (("PUT", "/collections/things/points", b"[" * 5000), 400, "Format error in JSON body"),
    "not the schema": (
        ("PUT", "/collections/things/points", {"points": [{"id": 1}]}), 400, "points[0].vector: Field required"
    ),
    "wrong size": (upsert({"dense": [1, 2, 3]}), 400, "Wrong input: Vector dimension error: expected dim: 4, got 3"),
    "empty vector": (upsert({"dense": []}), 422, "dense vector must not be empty"),
    "value beyond float32": (upsert({"plain": [1e39, 0]}), 400, "finite"),
    "unknown vector name": (upsert({"x": [1, 2]}), 400, "Wrong input: Not existing vector name error: x"),
    "unnamed vector": (upsert([1, 2, 3, 4]), 400, "Not existing vector name error"),
    "unnamed sparse vector": (upsert({"indices": [1], "values": [1]}), 400, "Not existing vector name error: indices"),
    "sparse for dense": (upsert({"dense": {"indices": [1], "values": [1]}}), 400, "Conversion between sparse"),
    "dense for sparse": (upsert({"sparse": [1, 2]}), 400, "Conversion between sparse and regular"),
    "multivector for dense": (upsert({"plain": [[1, 2]]}), 400, "Conversion between multi and regular"),
    "sparse of two lengths": (
        upsert({"sparse": {"indices": [1, 2], "values": [1]}}), 422, "must be the same length as indices"
    ),
    "sparse with an index twice": (upsert({"sparse": {"indices": [1, 1], "values": [1, 1]}}), 422, "unique"),
    "sparse with a negative index": (upsert({"sparse": {"indices": [-1], "values": [1]}}), 400, "unsigned 32-bit"),
    "inference object": (upsert({"dense": {"text": "secret", "model": "m"}}), 400, "takes only vectors"),
    "negative id": (upsert({}, id=-1), 400, "unsigned 64-bit"),
    "text as id": (upsert({}, id="nine"), 400, "not a valid UUID"),
    "deep payload": (upsert({}, payload=DEEP), 400, "nested deeper than 128"),
    "columns of two lengths": (
        ("PUT", "/collections/things/points", {"batch": {"ids": [1, 2], "vectors": {"plain": [[1, 2]]}}}),
        422,
        "number of ids and vectors must be equal",
    ),
    "nothing to upsert": (("PUT", "/collections/things/points", {"points": []}), 400, "Empty update request"),
    "later operation of a batch wrong": (
        (
            "POST",
            "/collections/things/points/batch",
            {"operations": [{"delete": {"points": [1]}}, {"delete": {"points": []}}]},
        ),
        400,
        "Empty update request",
    ),
    "deep path": (
        ("POST", "/collections/things/points/payload", {"payload": {}, "points": [1], "key": ".".join("a" * 200)}),
        400,
        "nested deeper",
    ),
    "searched with the wrong size": (search(query=[1, 2], using="dense"), 400, "expected dim: 4, got 2"),
    "searched without a name": (search(query=[1, 2, 3, 4]), 400, "Not existing vector name error"),
    "searched with an inference object": (
        search(query={"text": "secret", "model": "m"}, using="dense"), 400, "only vectors"
    ),
    "wrong size in a prefetch": (
        search(
            prefetch=[{"prefetch": {"query": [1], "using": "dense"}, "query": 1, "using": "dense"}],
            query={"fusion": "rrf"},
        ),
        400,
        "expected dim: 4, got 1",
    ),
    "fusion of nothing": (search(query={"fusion": "rrf"}), 400, "without prefetches"),
    "limit of nothing": (search(query=1, using="dense", limit=0), 422, "limit: value 0 invalid, must be 1 or larger"),
    "filter with a broken key": (
        search(filter={"must": [{"key": "a[", "match": {"value": 1}}]}), 400, "invalid JSON path"
    ),
    "collection without size": (
        ("PUT", "/collections/y", {"vectors": {"distance": "Dot"}}), 400, "size: Field required"
    ),
    "collection of size nothing": (
        ("PUT", "/collections/y", {"vectors": {"size": 0, "distance": "Dot"}}), 400, "size: expected a nonzero"
    ),
    "snapshot of all": (("POST", "/snapshots"), 501, "Qdrant server"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_request_has_qdrants_words_and_changes_nothing(case: str, things: Rest) -> None:
    call, expected, words = REFUSED[case]
    before = everything(things)
    status, text = things.error(*call)
    assert (status, words in text) == (expected, True), text
    assert "secret" not in text
    assert everything(things) == before


def test_what_can_be_written_of_a_change_to_missing_points_is_written(things: Rest) -> None:
    body = {"payload": {"new": 1}, "points": [99, 1]}
    assert things.error("POST", "/collections/things/points/payload", body)[0] == 404
    assert things.result("GET", "/collections/things/points/1")["payload"]["new"] == 1


def test_a_body_that_is_read_in_pieces_is_stored_as_it_is(rest: Rest) -> None:
    metadata = {"words": [f"word {number}" for number in range(10_000)]}
    vectors = {"size": 8000, "distance": "Dot"}
    rest.result("PUT", "/collections/c", {"vectors": vectors, "metadata": metadata})
    payload = {
        "numbers": list(range(20_000)),
        "names": {f"name {number}": {"n": number} for number in range(5000)},
        "inner": [{"a": [1, 2, {"b": "c"}]}] * 4000,
    }
    points = [{"id": number, "vector": [0.5] * 8000, "payload": payload} for number in range(3)]
    rest.result("PUT", "/collections/c/points", {"points": points})
    read = rest.result("POST", "/collections/c/points/scroll", {"with_vector": True})["points"]
    assert read == points
    assert rest.result("GET", "/collections/c")["config"]["metadata"] == metadata
    over_grpc = rest.store.grpc("/qdrant.Collections/Get", grpc.GetCollectionInfoRequest(collection_name="c"))
    assert len(over_grpc.result.config.metadata["words"].list_value.values) == 10_000
