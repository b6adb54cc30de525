"""A collection's configuration: Qdrant's JSON, checked and merged, and as the engine takes it."""

from __future__ import annotations

from typing import Any

import qdrant_edge as edge

from serve_app.embedded.edge import reading
from serve_app.embedded.edge.indexes import MEMORY
from serve_app.embedded.edge.points import Kind, payload
from serve_app.embedded.edge.reading import Object
from serve_app.embedded.engine.errors import bad_request, invalid, malformed, no_vector_name, not_supported

JSON = dict[str, Any]
MAX_SIZE = 65536
_HNSW: JSON = {
    "m": 16,
    "ef_construct": 100,
    "full_scan_threshold": 10000,
    "max_indexing_threads": 0,
    "on_disk": False,
}
_OPTIMIZER: JSON = {
    "deleted_threshold": 0.2,
    "vacuum_min_vector_number": 1000,
    "default_segment_number": 0,
    "max_segment_size": None,
    "memmap_threshold": None,
    "indexing_threshold": 10000,
    "flush_interval_sec": 5,
    "max_optimization_threads": None,
}
_WAL: JSON = {"wal_capacity_mb": 32, "wal_segments_ahead": 0, "wal_retain_closed": 1}

DISTANCES = {name: getattr(edge.Distance, name) for name in ("Cosine", "Euclid", "Dot", "Manhattan")}


def _kept(**given: Any) -> JSON:
    return given


def _one_only(what: str) -> reading.Reader[int]:
    def read(value: Any, where: str) -> int:
        if reading.integers(1)(value, where) > 1:
            raise not_supported(what)
        return 1

    return read


def _not_pinned(value: Any, where: str) -> str:
    memory = reading.word(*MEMORY)(value, where)
    if memory == "pinned":
        raise invalid(where, "Validation error: pinned is not supported for this storage")
    return memory


_memory = reading.word(*MEMORY)
hnsw_diff = Object(
    "HnswConfigDiff",
    _kept,
    {
        "m": reading.integers(0, 10000),
        "ef_construct": reading.integers(4),
        "full_scan_threshold": reading.integers(10),
        "max_indexing_threads": reading.integers(),
        "on_disk": reading.boolean,
        "memory": _memory,
        "payload_m": reading.integers(),
        "inline_storage": reading.boolean,
    },
    aliases={"full_scan_threshold_kb": "full_scan_threshold"},
)
_scalar = Object(
    "ScalarQuantizationConfig",
    _kept,
    {
        "type": reading.word("int8"),
        "quantile": reading.floats(0.5, 1.0),
        "always_ram": reading.boolean,
        "memory": _memory,
    },
    required=("type",),
)
_product = Object(
    "ProductQuantizationConfig",
    _kept,
    {
        "compression": reading.word("x4", "x8", "x16", "x32", "x64"),
        "always_ram": reading.boolean,
        "memory": _memory,
    },
    required=("compression",),
)
_ENCODINGS = {
    "one_bit": edge.BinaryQuantizationEncoding.OneBit,
    "two_bits": edge.BinaryQuantizationEncoding.TwoBits,
    "one_and_half_bits": edge.BinaryQuantizationEncoding.OneAndHalfBits,
}
_QUERY_ENCODINGS = {
    "default": edge.BinaryQuantizationQueryEncoding.Default,
    "binary": edge.BinaryQuantizationQueryEncoding.Binary,
    "scalar4bits": edge.BinaryQuantizationQueryEncoding.Scalar4Bits,
    "scalar8bits": edge.BinaryQuantizationQueryEncoding.Scalar8Bits,
}
_binary = Object(
    "BinaryQuantizationConfig",
    _kept,
    {
        "always_ram": reading.boolean,
        "memory": _memory,
        "encoding": reading.word(*_ENCODINGS),
        "query_encoding": reading.word(*_QUERY_ENCODINGS),
    },
)
_BITS = {
    "bits1": edge.TurboQuantBitSize.Bits1,
    "bits1_5": edge.TurboQuantBitSize.Bits1_5,
    "bits2": edge.TurboQuantBitSize.Bits2,
    "bits4": edge.TurboQuantBitSize.Bits4,
    "bits8": edge.TurboQuantBitSize.Bits8,
}
_turbo = Object(
    "TurboQuantQuantizationConfig",
    _kept,
    {"always_ram": reading.boolean, "memory": _memory, "bits": reading.word(*_BITS)},
)
_QUANTIZATIONS: dict[str, reading.Reader[JSON]] = {
    "scalar": _scalar,
    "product": _product,
    "binary": _binary,
    "turbo": _turbo,
}


def quantization(value: Any, where: str) -> JSON:
    """One of the kinds of quantization."""
    kind = next(iter(value), "") if isinstance(value, dict) else ""
    return {kind: reading.variant("QuantizationConfig", _QUANTIZATIONS)(value, where)}


def _quantization_diff(value: Any, where: str) -> JSON | str:
    return "Disabled" if value == "Disabled" else quantization(value, where)


_multivector = Object("MultiVectorConfig", _kept, {"comparator": reading.word("max_sim")}, required=("comparator",))
_DATATYPES = {
    "float32": edge.VectorStorageDatatype.Float32,
    "float16": edge.VectorStorageDatatype.Float16,
    "uint8": edge.VectorStorageDatatype.Uint8,
    **{
        name.lower(): getattr(edge.VectorStorageDatatype, name)
        for name in dir(edge.VectorStorageDatatype)
        if name.startswith("Turbo")
    },
}
_datatype = reading.word(*_DATATYPES)
_CHANGEABLE: dict[str, reading.Reader[Any]] = {
    "hnsw_config": hnsw_diff,
    "on_disk": reading.boolean,
    "memory": _not_pinned,
}
_DENSE: dict[str, reading.Reader[Any]] = {
    "size": reading.integers(1, MAX_SIZE),
    "distance": reading.word(*DISTANCES),
    "datatype": _datatype,
    "multivector_config": _multivector,
}
vector_params = Object(
    "VectorParams",
    _kept,
    {**_DENSE, **_CHANGEABLE, "quantization_config": quantization},
    required=("size", "distance"),
    aliases={"quantization": "quantization_config"},
)
_sparse_index = Object(
    "SparseIndexParams",
    _kept,
    {
        "full_scan_threshold": reading.integers(),
        "on_disk": reading.boolean,
        "memory": _memory,
        "datatype": _datatype,
    },
)
sparse_params = Object("SparseVectorParams", _kept, {"index": _sparse_index, "modifier": reading.word("none", "idf")})


def _vectors(value: Any, where: str) -> JSON:
    if isinstance(value, dict) and ("size" in value or "distance" in value):
        return vector_params(value, where)
    return reading.mapping(vector_params)(value, where)


def _sparse_vectors(value: Any, where: str) -> JSON:
    if isinstance(value, dict) and "" in value:
        raise invalid(where, "Validation error: Sparse vector name cannot be empty")
    return reading.mapping(sparse_params)(value, where)


_optimizers = Object(
    "OptimizersConfigDiff",
    _kept,
    {
        "deleted_threshold": reading.floats(0.0, 1.0),
        "vacuum_min_vector_number": reading.integers(100),
        "default_segment_number": reading.integers(),
        "max_segment_size": reading.integers(1),
        "memmap_threshold": reading.integers(),
        "indexing_threshold": reading.integers(),
        "flush_interval_sec": reading.integers(),
        "max_optimization_threads": reading.anything,
        "prevent_unoptimized": reading.boolean,
    },
    aliases={f"{name}_kb": name for name in ("max_segment_size", "memmap_threshold", "indexing_threshold")},
)
_wal = Object(
    "WalConfigDiff",
    _kept,
    {
        "wal_capacity_mb": reading.integers(1),
        "wal_segments_ahead": reading.integers(),
        "wal_retain_closed": reading.integers(1),
    },
)
_multivector_mode = Object("StrictModeMultivector", _kept, {"max_vectors": reading.integers(1)})
_sparse_mode = Object("StrictModeSparse", _kept, {"max_length": reading.integers(1)})
_COUNTS = (
    *("search_max_hnsw_ef", "upsert_max_batchsize", "search_max_batchsize", "max_collection_vector_size_bytes"),
    *("max_collection_payload_size_bytes", "filter_max_conditions", "condition_max_size", "max_payload_index_count"),
)
_strict_mode = Object(
    "StrictModeConfig",
    _kept,
    {
        **dict.fromkeys(_COUNTS, reading.integers()),
        **dict.fromkeys(
            ("max_query_limit", "max_timeout", "read_rate_limit", "write_rate_limit", "max_points_count"),
            reading.integers(1),
        ),
        **dict.fromkeys(
            ("enabled", "unindexed_filtering_retrieve", "unindexed_filtering_update", "search_allow_exact"),
            reading.boolean,
        ),
        "search_max_oversampling": reading.number,
        "max_resident_memory_percent": reading.integers(1, 100),
        "multivector_config": reading.mapping(_multivector_mode),
        "sparse_config": reading.mapping(_sparse_mode),
    },
)
_payload_storage = Object("PayloadStorageParams", _kept, {"memory": _not_pinned})
_id_tracker = Object("IdTrackerParams", _kept, {"memory": _memory})


def _metadata(value: Any, where: str) -> JSON:
    return payload(value, where)


def _sharding(value: Any, where: str) -> str:
    if reading.word("auto", "custom")(value, where) == "custom":
        raise not_supported("shard keys")
    return "auto"


CREATE = Object(
    "CreateCollection",
    _kept,
    {
        "vectors": _vectors,
        "sparse_vectors": _sparse_vectors,
        "shard_number": _one_only("more than one shard"),
        "sharding_method": _sharding,
        "replication_factor": _one_only("replicas"),
        "write_consistency_factor": _one_only("replicas"),
        "on_disk_payload": reading.boolean,
        "payload": _payload_storage,
        "id_tracker": _id_tracker,
        "hnsw_config": hnsw_diff,
        "wal_config": _wal,
        "optimizers_config": _optimizers,
        "quantization_config": quantization,
        "strict_mode_config": _strict_mode,
        "metadata": _metadata,
    },
    aliases={"quantization": "quantization_config"},
)
_vector_diff = Object("VectorParamsDiff", _kept, {**_CHANGEABLE, "quantization_config": _quantization_diff})
_params_diff = Object(
    "CollectionParamsDiff",
    _kept,
    {
        "replication_factor": _one_only("replicas"),
        "write_consistency_factor": _one_only("replicas"),
        "read_fan_out_factor": reading.integers(),
        "read_fan_out_delay_ms": reading.integers(),
        "on_disk_payload": reading.boolean,
        "payload": _payload_storage,
        "id_tracker": _id_tracker,
    },
)
UPDATE = Object(
    "UpdateCollection",
    _kept,
    {
        "vectors": reading.mapping(_vector_diff),
        "optimizers_config": _optimizers,
        "params": _params_diff,
        "hnsw_config": hnsw_diff,
        "quantization_config": _quantization_diff,
        "sparse_vectors": _sparse_vectors,
        "strict_mode_config": _strict_mode,
        "metadata": _metadata,
    },
)
DENSE_NAME = Object("DenseVectorConfig", _kept, _DENSE, required=("size", "distance"))
SPARSE_NAME = Object("SparseVectorConfig", _kept, {"modifier": reading.word("none", "idf"), "datatype": _datatype})


def created(body: JSON) -> JSON:
    """The configuration of a new collection."""
    given = CREATE(body, "")
    params: JSON = {
        "vectors": given.get("vectors", {}),
        "shard_number": 1,
        "replication_factor": 1,
        "write_consistency_factor": 1,
        "on_disk_payload": given.get("on_disk_payload", True),
    }
    for name in ("sparse_vectors", "payload", "id_tracker", "sharding_method"):
        if given.get(name):
            params[name] = given[name]
    config: JSON = {
        "params": params,
        "hnsw_config": {**_HNSW, **given.get("hnsw_config", {})},
        "optimizer_config": {**_OPTIMIZER, **given.get("optimizers_config", {})},
        "wal_config": {**_WAL, **given.get("wal_config", {})},
        "quantization_config": given.get("quantization_config"),
    }
    config.update({name: given[name] for name in ("strict_mode_config", "metadata") if given.get(name)})
    return _checked(config)


def _checked(config: JSON) -> JSON:
    params = config["params"]
    dense = dense_vectors(config)
    for name in set(dense) & set(params.get("sparse_vectors", {})):
        raise bad_request(f"Dense and sparse vector names must be unique - duplicate vector name '{name}'")
    return config


def changed(config: JSON, body: JSON) -> JSON:
    """A configuration with what a request changes; the one that is given stays as it is."""
    given = UPDATE(body, "")
    params = {**config["params"], **given.get("params", {})}
    params["vectors"] = _changed_vectors(config, given.get("vectors", {}))
    sparse = params.get("sparse_vectors", {})
    for name, diff in given.get("sparse_vectors", {}).items():
        if name not in sparse:
            raise no_vector_name(name)
        merged = {**sparse[name], **diff}
        if "index" in diff:
            merged["index"] = {**sparse[name].get("index", {}), **diff["index"]}
        sparse = {**sparse, name: merged}
    if sparse:
        params["sparse_vectors"] = sparse
    new = {
        **config,
        "params": params,
        "hnsw_config": {**config["hnsw_config"], **given.get("hnsw_config", {})},
        "optimizer_config": {**config["optimizer_config"], **given.get("optimizers_config", {})},
    }
    if "quantization_config" in given:
        new["quantization_config"] = _enabled(given["quantization_config"])
    if "strict_mode_config" in given:
        new["strict_mode_config"] = {**config.get("strict_mode_config", {}), **given["strict_mode_config"]}
    if "metadata" in given:
        merged = {**config.get("metadata", {}), **given["metadata"]}
        new["metadata"] = {name: value for name, value in merged.items() if value is not None}
    return new


def _enabled(value: JSON | str) -> JSON | None:
    return value if isinstance(value, dict) else None


def _changed_vectors(config: JSON, diffs: JSON) -> JSON:
    dense = dict(dense_vectors(config))
    for name, diff in diffs.items():
        if name not in dense:
            raise no_vector_name(name)
        merged = {**dense[name], **diff}
        if "hnsw_config" in diff:
            merged["hnsw_config"] = {**dense[name].get("hnsw_config", {}), **diff["hnsw_config"]}
        if merged.get("quantization_config") == "Disabled":
            del merged["quantization_config"]
        dense[name] = merged
    is_single = "size" in config["params"]["vectors"]
    return dense[""] if is_single else dense


def dense_vectors(config: JSON) -> JSON:
    """The parameters of the dense vectors by name; a vector without a name has the empty one."""
    vectors: JSON = config["params"]["vectors"]
    return {"": vectors} if "size" in vectors else vectors


def kinds(config: JSON) -> dict[str, Kind]:
    """What the collection keeps under each vector's name."""
    dense = {
        name: Kind(params["size"], "multivector_config" in params) for name, params in dense_vectors(config).items()
    }
    return {**dense, **{name: Kind() for name in config["params"].get("sparse_vectors", {})}}


def with_vector_name(config: JSON, name: str, body: JSON) -> JSON:
    """A configuration with one more vector name."""
    given = reading.variant("VectorNameConfig", {"dense": DENSE_NAME, "sparse": SPARSE_NAME})(body, "")
    params = dict(config["params"])
    if "dense" in body:
        if "size" in params["vectors"]:
            params["vectors"] = {"": params["vectors"]}
        params["vectors"] = {**params["vectors"], name: given}
    else:
        one = {key: value for key, value in given.items() if key == "modifier"}
        if "datatype" in given:
            one["index"] = {"datatype": given["datatype"]}
        params["sparse_vectors"] = {**params.get("sparse_vectors", {}), name: one}
    return _checked({**config, "params": params})


def without_vector_name(config: JSON, name: str) -> JSON:
    """A configuration without this vector name."""
    if name not in kinds(config):
        raise no_vector_name(name)
    params = dict(config["params"])
    params["vectors"] = {other: value for other, value in dense_vectors(config).items() if other != name}
    if "sparse_vectors" in params:
        params["sparse_vectors"] = {other: value for other, value in params["sparse_vectors"].items() if other != name}
    return {**config, "params": params}


# From here on: JSON that has been checked, as the engine takes it.


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
        return edge.TurboQuantQuantizationConfig(**{**own, **_looked_up(own, bits=_BITS)})
    encodings = _looked_up(own, encoding=_ENCODINGS, query_encoding=_QUERY_ENCODINGS)
    return edge.BinaryQuantizationConfig(**{**own, **encodings})


def _looked_up(given: JSON, **tables: dict[str, Any]) -> JSON:
    return {name: table[given[name]] for name, table in tables.items() if name in given}


def engine_vector(params: JSON, hnsw: JSON) -> edge.EdgeVectorParams:
    """The engine's parameters of a dense vector; `hnsw` is the collection's."""
    given = _engine_memory({**params, "distance": DISTANCES[params["distance"]]})
    given.update(_looked_up(given, datatype=_DATATYPES))
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
    index = {**index, **_looked_up(index, datatype=_DATATYPES)}
    return edge.EdgeSparseVectorParams(modifier=modifier(params), **index)


def modifier(params: JSON) -> edge.Modifier | None:
    """Whether words that few points have count more."""
    return edge.Modifier.Idf if params.get("modifier") == "idf" else None


def vector_name_operation(name: str, body: JSON) -> edge.UpdateOperation:
    """The engine's operation that adds a vector name; the body has been checked."""
    if "sparse" in body:
        sparse = body["sparse"]
        datatype = _looked_up(sparse, datatype=_DATATYPES)
        return edge.UpdateOperation.create_sparse_vector(name, modifier(sparse), **datatype)
    dense = {key: value for key, value in body["dense"].items() if value is not None}
    options = _looked_up(dense, datatype=_DATATYPES)
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
