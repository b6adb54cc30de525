"""The embedded store's engine: Qdrant's own (`qdrant-edge-py`), with what it lacks of a server on top.

store        all collections of a folder, and their aliases
collection   one collection: configuration, indexes, what can be asked; collection_folders makes, loads and deletes them
shard        one shard of the engine, opened, written to and replaced while others search it
snapshots    a collection in a file, and the way back
operation_ids    the numbers of updates
upkeep       flushes, and indexes built in a process of their own
config_schema    what a body may say of a configuration
config       a collection's configuration, made and changed
engine_config    the same as the engine takes it
points, filters, queries, formulas, updates, indexes    requests as the engine takes them, by tables
groups, matrix, averages    queries in groups, distance matrices and recommendations by average, which the engine lacks
strict       limits that a collection has for requests; strict_filters and strict_rates are parts of it
filter_work, scoring_work    what would keep all others waiting is done in pieces or refused
filter_parts a filter of many conditions, asked for part by part
shard_keys   refused as by a server without any
selection    which parts of a point an answer has, and its order
reading      how a table reads JSON
answers      what the engine finds, in Qdrant's JSON
failures     the engine's errors as refusals
"""
