"""The places where a vector may stand in Qdrant's REST API, as a table. Names are those of Qdrant's OpenAPI schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from deployments.contract import Direction
from serve_app.inference.field_aliases import with_aliases


@dataclass(frozen=True)
class Schema:
    """The ways from a JSON value on to the vectors in it; each names the schema that stands at its end.

    `vector`: an inference object may stand here itself. `fields`: of an object. `items`: of a list.
    `names`: the values of a map from vector names. `using`: a query that names its vector in the field `using`.
    `text`: `{"text": ...}` here is not a vector's place but a query by a text index (`TextQuery`, Qdrant 1.20).
    """

    vector: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)
    items: str | None = None
    names: str | None = None
    using: bool = False
    text: bool = False


_QUERY = {"query": "QueryInterface", "prefetch": "Prefetch"}

_SCHEMAS: dict[str, Schema] = {
    "PointInsertOperations": Schema(fields={"points": "PointStruct", "batch": "Batch"}),
    "PointStruct": Schema(fields={"vector": "VectorStruct"}, items="PointStruct"),
    "Batch": Schema(fields={"vectors": "BatchVectorStruct"}),
    "BatchVectorStruct": Schema(items="Vector", names="Vectors"),
    "Vectors": Schema(items="Vector"),
    "VectorStruct": Schema(vector=True, names="Vector"),
    "Vector": Schema(vector=True),
    "UpdateVectors": Schema(fields={"points": "PointVectors"}),
    "PointVectors": Schema(fields={"vector": "VectorStruct"}, items="PointVectors"),
    "UpdateOperations": Schema(fields={"operations": "UpdateOperation"}),
    "UpdateOperation": Schema(
        fields={"upsert": "PointInsertOperations", "update_vectors": "UpdateVectors"}, items="UpdateOperation"
    ),
    "QueryRequest": Schema(fields=_QUERY, using=True, items="QueryRequest"),
    "QueryRequestBatch": Schema(fields={"searches": "QueryRequest"}),
    "QueryGroupsRequest": Schema(fields=_QUERY, using=True),
    "Prefetch": Schema(fields=_QUERY, using=True, items="Prefetch"),
    "QueryInterface": Schema(
        vector=True,
        text=True,
        fields={
            "nearest": "VectorInput",
            "recommend": "RecommendInput",
            "discover": "DiscoverInput",
            "context": "ContextPair",
            "relevance_feedback": "RelevanceFeedbackInput",
        },
    ),
    "VectorInput": Schema(vector=True),
    "VectorInputs": Schema(items="VectorInput"),
    "RecommendInput": Schema(fields={"positive": "VectorInputs", "negative": "VectorInputs"}),
    "DiscoverInput": Schema(fields={"target": "VectorInput", "context": "ContextPair"}),
    "ContextPair": Schema(fields={"positive": "VectorInput", "negative": "VectorInput"}, items="ContextPair"),
    "RelevanceFeedbackInput": Schema(fields={"target": "VectorInput", "feedback": "FeedbackItem"}),
    "FeedbackItem": Schema(fields={"example": "VectorInput"}, items="FeedbackItem"),
}

SCHEMAS: dict[str, Schema] = {
    name: replace(schema, fields=with_aliases(name, schema.fields)) for name, schema in _SCHEMAS.items()
}
"""The same with the names that Qdrant takes beside those of its schema."""


@dataclass(frozen=True)
class Place:
    """A route of the REST API whose body may hold inference objects, and what its vectors are made for."""

    schema: str
    direction: Direction


REST_PLACES: dict[tuple[str, str], Place] = {
    ("PUT", "points"): Place("PointInsertOperations", "update"),
    ("PUT", "points/vectors"): Place("UpdateVectors", "update"),
    ("POST", "points/batch"): Place("UpdateOperations", "update"),
    ("POST", "points/query"): Place("QueryRequest", "search"),
    ("POST", "points/query/batch"): Place("QueryRequestBatch", "search"),
    ("POST", "points/query/groups"): Place("QueryGroupsRequest", "search"),
}
"""By method and the path below `/collections/{name}/`."""

GRPC_PLACES: dict[str, Direction] = {
    "/qdrant.Points/Upsert": "update",
    "/qdrant.Points/UpdateVectors": "update",
    "/qdrant.Points/UpdateBatch": "update",
    "/qdrant.Points/Query": "search",
    "/qdrant.Points/QueryBatch": "search",
    "/qdrant.Points/QueryGroups": "search",
    # The older search methods; in REST these take no inference objects.
    "/qdrant.Points/Recommend": "search",
    "/qdrant.Points/RecommendBatch": "search",
    "/qdrant.Points/RecommendGroups": "search",
    "/qdrant.Points/Discover": "search",
    "/qdrant.Points/DiscoverBatch": "search",
}
"""By full method name. The ways inside these messages are read off their descriptors (`find_proto`)."""


_COLLECTIONS = "/collections/"


def rest_place(method: str, path: str) -> Place | None:
    """The place behind a method and a normalized path, or none if the body is never looked into."""
    if not path.startswith(_COLLECTIONS):
        return None
    _, _, below = path[len(_COLLECTIONS) :].partition("/")
    return REST_PLACES.get((method, below))
