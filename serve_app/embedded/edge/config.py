"""A collection's configuration as Qdrant's JSON: made, changed, and what it says of vector names."""

from __future__ import annotations

import qdrant_edge as edge

from serve_app.embedded.edge import reading
from serve_app.embedded.edge.config_schema import CREATE, DENSE_NAME, HNSW, JSON, OPTIMIZER, SPARSE_NAME, UPDATE, WAL
from serve_app.embedded.edge.points import Kind
from serve_app.embedded.engine.errors import no_vector_name, not_supported, wrong_input


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
        "hnsw_config": {**HNSW, **given.get("hnsw_config", {})},
        "optimizer_config": {**OPTIMIZER, **given.get("optimizers_config", {})},
        "wal_config": {**WAL, **given.get("wal_config", {})},
        "quantization_config": given.get("quantization_config"),
    }
    config.update({name: given[name] for name in ("strict_mode_config", "metadata") if given.get(name)})
    return _checked(config)


def _checked(config: JSON) -> JSON:
    params = config["params"]
    dense = dense_vectors(config)
    for name in set(dense) & set(params.get("sparse_vectors", {})):
        raise wrong_input(f"Dense and sparse vector names must be unique - duplicate found with '{name}'")
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
        if merged.get("modifier", "none") != sparse[name].get("modifier", "none"):
            raise not_supported("another modifier for sparse vectors that are there")
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


def warnings(config: JSON) -> list[JSON]:
    """What a configuration asks for and cannot have."""
    found = []
    for name, params in dense_vectors(config).items():
        hnsw = {**config["hnsw_config"], **params.get("hnsw_config", {})}
        if not hnsw.get("inline_storage"):
            continue
        if "multivector_config" in params:
            found.append(f"The `hnsw_config.inline_storage` option has no effect on multivectors ('{name}').")
        elif not (params.get("quantization_config") or config["quantization_config"]):
            found.append(f"The `hnsw_config.inline_storage` option needs quantized vectors ('{name}').")
    return [{"message": message} for message in found]


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


def modifier(params: JSON) -> edge.Modifier | None:
    """Whether words that few points have count more."""
    return edge.Modifier.Idf if params.get("modifier") == "idf" else None
