"""A configuration that has been checked, as the engine takes it."""

from __future__ import annotations

from typing import Any

import qdrant_edge as edge

from serve_app.embedded.edge.config import dense_vectors, kinds, modifier
from serve_app.embedded.edge.config_schema import BITS, DATATYPES, DISTANCES, ENCODINGS, JSON, QUERY_ENCODINGS
from serve_app.embedded.edge.indexes import MEMORY
from serve_app.embedded.engine.errors import malformed


def _engine_memory(given: JSON) -> JSON:
    return {**given, "memory": MEMORY[given["memory"]]} if "memory" in given else given


def _engine_hnsw(given: JSON) -> edge.HnswIndexConfig:
    return edge.HnswIndexConfig(**_engine_memory({**given, "max_indexing_threads": 1}))


def _engine_quantization(given: JSON) -> Any:
    [(kind, own)] = given.items()
    own = _engine_memory(own)
    if kind == "scalar":
        return edge.ScalarQuantizationConfig(**{**own, "type": edge.ScalarType.Int8})
    if kind == "product":
        ratio = getattr(edge.CompressionRatio, own["compression"].upper())
        return edge.ProductQuantizationConfig(**{**own, "compression": ratio})
    if kind == "turbo":
        return edge.TurboQuantQuantizationConfig(**{**own, **_looked_up(own, bits=BITS)})
    encodings = _looked_up(own, encoding=ENCODINGS, query_encoding=QUERY_ENCODINGS)
    return edge.BinaryQuantizationConfig(**{**own, **encodings})


def _looked_up(given: JSON, **tables: dict[str, Any]) -> JSON:
    return {name: table[given[name]] for name, table in tables.items() if name in given}


def engine_vector(params: JSON, hnsw: JSON) -> edge.EdgeVectorParams:
    """The engine's parameters of a dense vector; `hnsw` is the collection's."""
    given = _engine_memory({**params, "distance": DISTANCES[params["distance"]]})
    given.update(_looked_up(given, datatype=DATATYPES))
    if "multivector_config" in given:
        given["multivector_config"] = edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim)
    if "hnsw_config" in given:
        given["hnsw_config"] = _engine_hnsw({**hnsw, **given["hnsw_config"]})
    if "quantization_config" in given:
        given["quantization_config"] = _engine_quantization(given["quantization_config"])
    return edge.EdgeVectorParams(**given)


def engine_sparse(params: JSON) -> edge.EdgeSparseVectorParams:
    """The engine's parameters of a sparse vector."""
    index = _engine_memory(params.get("index", {}))
    index = {**index, **_looked_up(index, datatype=DATATYPES)}
    return edge.EdgeSparseVectorParams(modifier=modifier(params), **index)


def vector_name_operation(name: str, body: JSON) -> edge.UpdateOperation:
    """The engine's operation that adds a vector name; the body has been checked."""
    if "sparse" in body:
        sparse = body["sparse"]
        datatype = _looked_up(sparse, datatype=DATATYPES)
        return edge.UpdateOperation.create_sparse_vector(name, modifier(sparse), **datatype)
    dense = {key: value for key, value in body["dense"].items() if value is not None}
    options = _looked_up(dense, datatype=DATATYPES)
    if "multivector_config" in dense:
        options["multivector_config"] = edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim)
    return edge.UpdateOperation.create_dense_vector(name, dense["size"], DISTANCES[dense["distance"]], **options)


_FOR_THE_ENGINE = (
    "deleted_threshold",
    "vacuum_min_vector_number",
    "default_segment_number",
    "max_segment_size",
    "indexing_threshold",
    "prevent_unoptimized",
)


NO_VECTOR = "no-vector"
"""A sparse vector's name that no point uses: the engine wants at least one name, a collection may have none."""


def engine_config(config: JSON) -> edge.EdgeConfig:
    """The whole configuration as the engine takes it."""
    params, hnsw = config["params"], config["hnsw_config"]
    optimizers = {name: config["optimizer_config"].get(name) for name in _FOR_THE_ENGINE}
    placement = _engine_memory(params.get("payload", {}))
    sparse = params.get("sparse_vectors", {}) if kinds(config) else {NO_VECTOR: {}}
    try:
        return edge.EdgeConfig(
            vectors={name: engine_vector(one, hnsw) for name, one in dense_vectors(config).items()},
            sparse_vectors={name: engine_sparse(one) for name, one in sparse.items()},
            on_disk_payload=params["on_disk_payload"],
            hnsw_config=_engine_hnsw(hnsw),
            quantization_config=_engine_quantization(config["quantization_config"])
            if config["quantization_config"]
            else None,
            optimizers=edge.EdgeOptimizersConfig(**{**optimizers, "default_segment_number": 1}),
            payload_memory=placement.get("memory"),
            id_tracker_memory=_engine_memory(params.get("id_tracker", {})).get("memory"),
            wal_enabled=True,
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise malformed("", str(error)) from error
