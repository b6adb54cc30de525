"""gRPC: what an operation answers, as messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from serve_app.protocol.qdrant_messages import grpc

JSON = Mapping[str, Any]
Fields = Mapping[str, Any]


def point_id(value: int | str) -> grpc.PointId:
    """A number or a UUID."""
    return grpc.PointId(num=value) if isinstance(value, int) else grpc.PointId(uuid=value)


def _payload(value: JSON | None) -> dict[str, grpc.Value]:
    return {name: _json(inner) for name, inner in (value or {}).items()}


_INT64 = 2**63


def _json(value: Any) -> grpc.Value:
    """A value of a payload; as in Qdrant, an integer beyond 64 bits with a sign becomes a float."""
    if isinstance(value, int) and not isinstance(value, bool) and not -_INT64 <= value < _INT64:
        value = float(value)
    return _OF_TYPE[type(value)](value)


_OF_TYPE: dict[type, Callable[[Any], grpc.Value]] = {
    type(None): lambda _: grpc.Value(null_value=grpc.NullValue.NULL_VALUE),
    bool: lambda value: grpc.Value(bool_value=value),
    int: lambda value: grpc.Value(integer_value=value),
    float: lambda value: grpc.Value(double_value=value),
    str: lambda value: grpc.Value(string_value=value),
    dict: lambda value: grpc.Value(struct_value=grpc.Struct(fields=_payload(value))),
    list: lambda value: grpc.Value(list_value=grpc.ListValue(values=[_json(inner) for inner in value])),
}


def _vector(value: Any) -> grpc.VectorOutput:
    """A vector, also in the fields that older clients read."""
    if isinstance(value, dict):
        sparse = grpc.SparseVector(indices=value["indices"], values=value["values"])
        return grpc.VectorOutput(data=value["values"], indices=grpc.SparseIndices(data=value["indices"]), sparse=sparse)
    if value.ndim == 1:
        return grpc.VectorOutput(data=value, dense=grpc.DenseVector(data=value))
    rows = grpc.MultiDenseVector(vectors=[grpc.DenseVector(data=row) for row in value])
    return grpc.VectorOutput(data=value.ravel(), vectors_count=len(value), multi_dense=rows)


def _vectors(value: Any) -> grpc.VectorsOutput:
    if isinstance(value, dict):
        named = {name: _vector(one) for name, one in value.items()}
        return grpc.VectorsOutput(vectors=grpc.NamedVectorsOutput(vectors=named))
    return grpc.VectorsOutput(vector=_vector(value))


def _common(point: JSON) -> dict[str, Any]:
    common: dict[str, Any] = {"id": point_id(point["id"]), "payload": _payload(point.get("payload"))}
    if "vector" in point:
        common["vectors"] = _vectors(point["vector"])
    if "order_value" in point:
        value = point["order_value"]
        kind = "int" if isinstance(value, int) else "float"
        common["order_value"] = grpc.OrderValue(**{kind: value})
    return common


def record(point: JSON) -> grpc.RetrievedPoint:
    """A point that was retrieved."""
    return grpc.RetrievedPoint(**_common(point))


def scored(point: JSON) -> grpc.ScoredPoint:
    """A point that was found."""
    return grpc.ScoredPoint(**_common(point), score=float(point["score"]), version=point["version"])


def page(result: JSON) -> Fields:
    """A page of a scroll."""
    following = result["next_page_offset"]
    return {
        "result": [record(point) for point in result["points"]],
        "next_page_offset": None if following is None else point_id(following),
    }


def _group_id(value: int | str) -> grpc.GroupId:
    if isinstance(value, str):
        return grpc.GroupId(string_value=value)
    return grpc.GroupId(unsigned_value=value) if value >= 0 else grpc.GroupId(integer_value=value)


def groups(result: JSON) -> Fields:
    """Groups of points."""
    return {
        "result": grpc.GroupsResult(
            groups=[
                grpc.PointGroup(
                    id=_group_id(group["id"]),
                    hits=[scored(hit) for hit in group["hits"]],
                    lookup=record(group["lookup"]) if "lookup" in group else None,
                )
                for group in result["groups"]
            ]
        )
    }


def _facet_value(value: Any) -> grpc.FacetValue:
    if isinstance(value, bool):
        return grpc.FacetValue(bool_value=value)
    return grpc.FacetValue(integer_value=value) if isinstance(value, int) else grpc.FacetValue(string_value=value)


def facet(result: JSON) -> Fields:
    """The values of a payload field."""
    return {"hits": [grpc.FacetHit(value=_facet_value(hit["value"]), count=hit["count"]) for hit in result["hits"]]}


def pairs(result: JSON) -> Fields:
    """Distances as pairs."""
    found = [
        grpc.SearchMatrixPair(a=point_id(pair["a"]), b=point_id(pair["b"]), score=float(pair["score"]))
        for pair in result["pairs"]
    ]
    return {"result": grpc.SearchMatrixPairs(pairs=found)}


def offsets(result: JSON) -> Fields:
    """Distances as a sparse matrix."""
    return {
        "result": grpc.SearchMatrixOffsets(
            offsets_row=result["offsets_row"],
            offsets_col=result["offsets_col"],
            scores=[float(score) for score in result["scores"]],
            ids=[point_id(one) for one in result["ids"]],
        )
    }


_STATUS = {"completed": grpc.UpdateStatus.Completed, "acknowledged": grpc.UpdateStatus.Acknowledged}


def update(result: JSON) -> grpc.UpdateResult:
    """What a write answers."""
    return grpc.UpdateResult(operation_id=result["operation_id"], status=_STATUS[result["status"]])


def collection(result: JSON) -> Fields:
    """A collection's status, size and configuration."""
    from qdrant_client.conversions.conversion import RestToGrpc  # noqa: PLC0415  half of a store's start, for this alone
    from qdrant_client.http import models  # noqa: PLC0415

    info = models.CollectionInfo.model_validate(result)
    return {"result": RestToGrpc.convert_collection_info(info)}


def snapshot(result: JSON) -> grpc.SnapshotDescription:
    """What is told of a snapshot."""
    created = Timestamp()
    created.FromJsonString(f"{result['creation_time']}Z")
    return grpc.SnapshotDescription(
        name=result["name"], creation_time=created, size=result["size"], checksum=result["checksum"]
    )


def aliases(result: JSON) -> Fields:
    """Aliases."""
    return {"aliases": [grpc.AliasDescription(**alias) for alias in result["aliases"]]}


def collections(result: JSON) -> Fields:
    """The names of collections."""
    return {"collections": [grpc.CollectionDescription(name=found["name"]) for found in result["collections"]]}
