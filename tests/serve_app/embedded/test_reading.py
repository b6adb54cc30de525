"""The tables by which bodies are read have the fields of Qdrant's schemas, and refuse others by name."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from deployments.catalogue.catalogue import HOME
from serve_app.embedded.edge import collection, config_schema, filters, groups, indexes, matrix, queries
from serve_app.embedded.edge.reading import Object
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
    assert documented <= {*table.fields, *table.refused}
    assert set(SCHEMAS[schema].get("required", ())) <= {*table.required}


@pytest.mark.parametrize("schema", TABLES)
def test_a_field_that_no_table_knows_is_refused_by_name(schema: str) -> None:
    with pytest.raises(GrpcError, match=f"surprise: unknown field of {schema}"):
        TABLES[schema]({"surprise": 1}, "")


def test_a_field_that_needs_a_server_is_refused_and_null_is_not() -> None:
    assert queries.QUERY({"shard_key": None}, "") == {}
    with pytest.raises(GrpcError, match="QDRANT_URL"):
        queries.QUERY({"shard_key": "a"}, "")
