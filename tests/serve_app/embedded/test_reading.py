"""The tables by which bodies are read have the fields of Qdrant's schemas, and refuse others by name."""

from __future__ import annotations

import gc
import math
from typing import Any

import orjson
import pytest

from deployments.catalogue.catalogue import HOME
from serve_app.embedded.edge import collection, config_schema, filters, groups, indexes, matrix, queries
from serve_app.embedded.edge.reading import Float, Integer, Object, anything
from serve_app.embedded.engine.errors import GrpcError

SCHEMAS: dict[str, Any] = orjson.loads((HOME / "tests" / "data" / "qdrant-openapi.json").read_bytes())["components"][
    "schemas"
]
TABLES: dict[str, Object[Any]] = {
    table.schema: table
    for table in (
        *(filters.FILTER, filters.FIELD, queries.QUERY, queries.PREFETCH, queries.PARAMS, queries.LOOKUP),
        *(groups.GROUPS, matrix.MATRIX, collection.RETRIEVE, collection.SCROLL, collection.COUNT, collection.FACET),
        *(
            config_schema.CREATE,
            config_schema.UPDATE,
            config_schema.hnsw_diff,
            config_schema.vector_params,
            config_schema.sparse_params,
        ),
        *(config_schema.DENSE_NAME, config_schema.SPARSE_NAME, indexes.CREATE, *indexes.PARAMS.values()),
    )
}


@pytest.mark.parametrize("schema", TABLES)
def test_a_table_knows_every_field_of_its_schema(schema: str) -> None:
    table = TABLES[schema]
    documented = set(SCHEMAS[schema]["properties"])
    assert documented <= set(table.fields)
    assert set(SCHEMAS[schema].get("required", ())) <= {*table.required}


@pytest.mark.parametrize("schema", TABLES)
def test_a_field_that_no_table_knows_is_refused_by_name(schema: str) -> None:
    with pytest.raises(GrpcError, match=f"surprise: unknown field of {schema}"):
        TABLES[schema]({"surprise": 1}, "")


def numbers(schema: Any) -> Any:
    """What a field's schema says of the number that it may be: bits (none for a float), minimum, maximum."""
    referred = (SCHEMAS[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in schema.get("anyOf", ()))
    for one in (schema, *referred):
        kind = one["type"][0] if isinstance(one.get("type"), list) else one.get("type")
        if kind == "integer":
            return int(one.get("format", "").removeprefix("uint") or 64), one.get("minimum", 0), one.get("maximum")
        if kind == "number":
            return None, one.get("minimum"), one.get("maximum")
    return None


NUMBERS = [
    (f"{table.schema}.{name}", read, numbers(SCHEMAS[table.schema]["properties"][name]))
    for table in {id(one): one for one in gc.get_objects() if isinstance(one, Object)}.values()
    for name, read in table.fields.items()
    if read is not anything and numbers(SCHEMAS.get(table.schema, {}).get("properties", {}).get(name, {}))
]
"""The fields of all tables, those inside of others, too, that are numbers in Qdrant's schema."""
BOUNDS_THAT_THE_SCHEMA_LACKS = {
    "HnswConfigDiff.m": (0, 10000),
    "VectorParams.size": (1, 65536),
    "WalConfigDiff.wal_retain_closed": (1, None),
}


def test_every_number_has_the_type_and_the_bounds_of_its_schema() -> None:
    assert len(NUMBERS) > 60
    for field, read, (bits, *bounds) in NUMBERS:
        assert isinstance(read, Float if bits is None else Integer), field
        assert (read.minimum, read.maximum) == BOUNDS_THAT_THE_SCHEMA_LACKS.get(field, tuple(bounds)), field
        assert getattr(read, "bits", None) == bits, field


TOO_MUCH = 2**64
INTEGERS = [
    (Integer(), {0: 0, 2**63: 0, TOO_MUCH - 1: 0, TOO_MUCH: 400, -1: 400, 1.0: 400, 1e30: 400}),
    (Integer(1), {0: 422, 1: 0, 2**63: 0, TOO_MUCH: 400}),
    (Integer(1, is_nonzero=True), {0: 400, 1: 0}),
    (Integer(bits=32), {2**32 - 1: 0, 2**32: 400}),
    (Integer(1, 100, bits=8), {0: 422, 100: 0, 101: 422, 255: 422, 256: 400, True: 400, "1": 400, math.nan: 400}),
]


@pytest.mark.parametrize(
    ("read", "given", "status"), [(read, *case) for read, cases in INTEGERS for case in cases.items()]
)
def test_an_integer_that_no_type_holds_is_malformed_and_one_out_of_bounds_is_invalid(
    read: Integer, given: Any, status: int
) -> None:
    if status == 0:
        assert read(given, "limit") == given
        return
    with pytest.raises(GrpcError, match="limit: ") as refused:
        read(given, "limit")
    assert refused.value.status == status


def test_a_field_may_have_its_other_name_but_not_both() -> None:
    assert (
        queries.QUERY({"with_vectors": True}, "") == queries.QUERY({"with_vector": True}, "") == {"with_vector": True}
    )
    with pytest.raises(GrpcError, match="with_vector: duplicate field"):
        queries.QUERY({"with_vector": True, "with_vectors": None}, "")
