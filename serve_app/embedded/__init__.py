"""The embedded store: Qdrant's own engine behind Qdrant's REST and gRPC APIs.

server           both APIs on ports
address          how the gateway finds these
deployment       the same as a Serve deployment
store            the two APIs, `rest` and `grpc`, in front of an engine
rest_routes      which operation a REST route stands for; JSON in and out
query_parameters how to wait, and for how long
grpc_methods     which operation a gRPC method stands for
grpc_read        messages as what stands in a REST body for the same; grpc_write the way back
legacy_*         the searches of older SDKs, read as the queries that they stand for
not_here         what only a Qdrant server has: 501
engine/          what an engine can do, and how it refuses
edge/            the engine: collections on `qdrant-edge-py`
"""
