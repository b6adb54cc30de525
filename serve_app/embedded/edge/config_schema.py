"""What a body may say of a collection's configuration, as tables, and what holds if it says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import qdrant_edge as edge
from typing_extensions import override

from serve_app.embedded.edge import reading
from serve_app.embedded.edge.indexes import MEMORY
from serve_app.embedded.edge.points import payload
from serve_app.embedded.edge.reading import Object
from serve_app.embedded.engine.errors import invalid, not_supported

JSON = dict[str, Any]
MAX_SIZE = 65536
HNSW: JSON = {
    "m": 16,
    "ef_construct": 100,
    "full_scan_threshold": 10000,
    "max_indexing_threads": 0,
    "on_disk": False,
}
OPTIMIZER: JSON = {
    "deleted_threshold": 0.2,
    "vacuum_min_vector_number": 1000,
    "default_segment_number": 0,
    "max_segment_size": None,
    "memmap_threshold": None,
    "indexing_threshold": 10000,
    "flush_interval_sec": 5,
    "max_optimization_threads": None,
}
WAL: JSON = {"wal_capacity_mb": 32, "wal_segments_ahead": 0, "wal_retain_closed": 1}

DISTANCES = {name: getattr(edge.Distance, name) for name in ("Cosine", "Euclid", "Dot", "Manhattan")}


def _kept(**given: Any) -> JSON:
    return given


@dataclass(frozen=True)
class _One(reading.Integer):
    """Of which a server may have several."""

    minimum: int = 1
    bits: int = 32
    what: str = "replicas"

    @override
    def __call__(self, value: Any, where: str) -> int:
        if super().__call__(value, where) > 1:
            raise not_supported(self.what)
        return 1


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
        "m": reading.Integer(0, 10000),
        "ef_construct": reading.Integer(4),
        "full_scan_threshold": reading.Integer(10),
        "max_indexing_threads": reading.Integer(),
        "on_disk": reading.boolean,
        "memory": _memory,
        "payload_m": reading.Integer(),
        "inline_storage": reading.boolean,
    },
)
_scalar = Object(
    "ScalarQuantizationConfig",
    _kept,
    {
        "type": reading.word("int8"),
        "quantile": reading.Float(0.5, 1.0),
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
ENCODINGS = {
    "one_bit": edge.BinaryQuantizationEncoding.OneBit,
    "two_bits": edge.BinaryQuantizationEncoding.TwoBits,
    "one_and_half_bits": edge.BinaryQuantizationEncoding.OneAndHalfBits,
}
QUERY_ENCODINGS = {
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
        "encoding": reading.word(*ENCODINGS),
        "query_encoding": reading.word(*QUERY_ENCODINGS),
    },
)
BITS = {
    "bits1": edge.TurboQuantBitSize.Bits1,
    "bits1_5": edge.TurboQuantBitSize.Bits1_5,
    "bits2": edge.TurboQuantBitSize.Bits2,
    "bits4": edge.TurboQuantBitSize.Bits4,
    "bits8": edge.TurboQuantBitSize.Bits8,
}
_turbo = Object(
    "TurboQuantQuantizationConfig",
    _kept,
    {"always_ram": reading.boolean, "memory": _memory, "bits": reading.word(*BITS)},
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
DATATYPES = {
    "float32": edge.VectorStorageDatatype.Float32,
    "float16": edge.VectorStorageDatatype.Float16,
    "uint8": edge.VectorStorageDatatype.Uint8,
    **{
        name.lower(): getattr(edge.VectorStorageDatatype, name)
        for name in dir(edge.VectorStorageDatatype)
        if name.startswith("Turbo")
    },
}
_datatype = reading.word(*DATATYPES)


def _sparse_datatype(value: Any, where: str) -> str:
    datatype = _datatype(value, where)
    if datatype.startswith("turbo"):
        raise invalid(where, f"Validation error: sparse vectors do not support the datatype {datatype}")
    return datatype


_CHANGEABLE: dict[str, reading.Reader[Any]] = {
    "hnsw_config": hnsw_diff,
    "on_disk": reading.boolean,
    "memory": _not_pinned,
}
_DENSE: dict[str, reading.Reader[Any]] = {
    "size": reading.Integer(1, MAX_SIZE, is_nonzero=True),
    "distance": reading.word(*DISTANCES),
    "datatype": _datatype,
    "multivector_config": _multivector,
}
vector_params = Object(
    "VectorParams",
    _kept,
    {**_DENSE, **_CHANGEABLE, "quantization_config": quantization},
    required=("size", "distance"),
)
_sparse_index = Object(
    "SparseIndexParams",
    _kept,
    {
        "full_scan_threshold": reading.Integer(),
        "on_disk": reading.boolean,
        "memory": _memory,
        "datatype": _sparse_datatype,
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
        "deleted_threshold": reading.Float(0.0, 1.0),
        "vacuum_min_vector_number": reading.Integer(100),
        "default_segment_number": reading.Integer(),
        "max_segment_size": reading.Integer(1),
        "memmap_threshold": reading.Integer(),
        "indexing_threshold": reading.Integer(),
        "flush_interval_sec": reading.Integer(),
        "max_optimization_threads": reading.anything,
        "prevent_unoptimized": reading.boolean,
    },
)
_wal = Object(
    "WalConfigDiff",
    _kept,
    {
        "wal_capacity_mb": reading.Integer(1),
        "wal_segments_ahead": reading.Integer(),
        "wal_retain_closed": reading.Integer(1),
    },
)
_multivector_mode = Object("StrictModeMultivector", _kept, {"max_vectors": reading.Integer(1)})
_sparse_mode = Object("StrictModeSparse", _kept, {"max_length": reading.Integer(1)})
_COUNTS = (
    *("search_max_hnsw_ef", "upsert_max_batchsize", "search_max_batchsize", "max_collection_vector_size_bytes"),
    *("max_collection_payload_size_bytes", "filter_max_conditions", "condition_max_size", "max_payload_index_count"),
)
_strict_mode = Object(
    "StrictModeConfig",
    _kept,
    {
        **dict.fromkeys(_COUNTS, reading.Integer()),
        **dict.fromkeys(
            ("max_query_limit", "max_timeout", "read_rate_limit", "write_rate_limit", "max_points_count"),
            reading.Integer(1),
        ),
        **dict.fromkeys(
            ("enabled", "unindexed_filtering_retrieve", "unindexed_filtering_update", "search_allow_exact"),
            reading.boolean,
        ),
        "search_max_oversampling": reading.number,
        "max_resident_memory_percent": reading.Integer(1, 100, bits=8),
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
        "shard_number": _One(what="more than one shard"),
        "sharding_method": _sharding,
        "replication_factor": _One(),
        "write_consistency_factor": _One(),
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
)
_vector_diff = Object("VectorParamsDiff", _kept, {**_CHANGEABLE, "quantization_config": _quantization_diff})
_params_diff = Object(
    "CollectionParamsDiff",
    _kept,
    {
        "replication_factor": _One(is_nonzero=True),
        "write_consistency_factor": _One(is_nonzero=True),
        "read_fan_out_factor": reading.Integer(bits=32),
        "read_fan_out_delay_ms": reading.Integer(),
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
DENSE_NAME = Object(
    "DenseVectorConfig", _kept, {**_DENSE, "size": reading.Integer(1, MAX_SIZE)}, required=("size", "distance")
)
SPARSE_NAME = Object(
    "SparseVectorConfig", _kept, {"modifier": reading.word("none", "idf"), "datatype": _sparse_datatype}
)
