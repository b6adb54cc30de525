"""Names that Qdrant's REST API takes beside those of its OpenAPI schema.

Source: Qdrant 1.19, the serde aliases in lib/api/src/rest/schema.rs, lib/collection/src/operations/{types,config_diff,
cluster_ops,vector_ops}.rs, lib/shard/src/scroll.rs, lib/segment/src/types.rs,
lib/storage/src/content_manager/collection_meta_ops.rs and src/common/update.rs. A body with both names of a field is
refused there. Languages have other names, too: `deployments.catalogue.languages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIELD_ALIASES: Mapping[str, Mapping[str, str]] = {
    "CreateCollection": {"optimizer_config": "optimizers_config", "quantization": "quantization_config"},
    "CreateFieldIndex": {"field_type": "field_schema"},
    "CreateShardingKey": {"shard_number": "shards_number"},
    "DeleteVectors": {"vectors": "vector"},
    "DiscoverRequest": {"top": "limit"},
    "HnswConfig": {"full_scan_threshold_kb": "full_scan_threshold"},
    "HnswConfigDiff": {"full_scan_threshold_kb": "full_scan_threshold"},
    "OptimizersConfigDiff": {
        "indexing_threshold_kb": "indexing_threshold",
        "max_segment_size_kb": "max_segment_size",
        "memmap_threshold_kb": "memmap_threshold",
    },
    "PointRequest": {"with_vectors": "with_vector"},
    "PointStruct": {"vectors": "vector"},
    "PointVectors": {"vectors": "vector"},
    "QueryRequest": {"with_vectors": "with_vector"},
    "RecommendGroupsRequest": {"with_vectors": "with_vector"},
    "RecommendRequest": {"top": "limit", "with_vectors": "with_vector"},
    "ScrollRequest": {"with_vectors": "with_vector"},
    "SearchGroupsRequest": {"with_vectors": "with_vector"},
    "SearchRequest": {"top": "limit", "with_vectors": "with_vector"},
    "UpdateCollection": {"optimizer_config": "optimizers_config", "quantization": "quantization_config"},
    "VectorParams": {"quantization": "quantization_config"},
    "VectorParamsDiff": {"quantization": "quantization_config"},
    "WithLookup": {"with_vector": "with_vectors"},
}
"""By the schema's name in the OpenAPI document: the name that a field may have instead, and its own."""


def with_aliases(schema: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a schema also under the names that they may have instead."""
    others = {alias: fields[name] for alias, name in FIELD_ALIASES.get(schema, {}).items() if name in fields}
    return {**fields, **others}
