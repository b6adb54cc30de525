"""The embedded store's engine: Qdrant's own (`qdrant-edge-py`), with what it lacks of a server on top.

store        all collections of a folder, and their aliases
collection   one collection: configuration, indexes, what can be asked
shard        one shard of the engine, opened, written to and replaced while others search it
upkeep       flushes, and indexes built in a process of their own
config       a collection's configuration, in Qdrant's JSON and as the engine takes it
points, filters, queries, formulas, updates, indexes    requests as the engine takes them, by tables
groups, matrix    queries in groups and distance matrices, which the engine does not have
reading      how a table reads JSON
answers      what the engine finds, in Qdrant's JSON
failures     the engine's errors as refusals
"""
