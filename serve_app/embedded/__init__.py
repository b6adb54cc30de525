"""The embedded store: qdrant-client's local mode behind Qdrant's REST and gRPC APIs.

server           both doors on ports
address          how the gateway finds these
store            the two doors, `rest` and `grpc`, and the lock behind them
rest_routes      which operation a REST route stands for; JSON in and out
grpc_methods     which operation a gRPC method stands for; messages in and out
operations       what can be done, on Qdrant's REST models, for both protocols
checks           what is refused before anything is stored or searched
local            local mode, with one transaction a request and quick searches
sparse_index     postings of sparse vectors
errors           how a refusal looks, and which foreign exceptions become one
"""
