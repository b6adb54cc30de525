"""The way to Qdrant, or to the embedded store.

| file | what is in it |
|---|---|
| `base` | the protocol of a way to Qdrant |
| `remote` | Qdrant servers elsewhere |
| `embedded` | the embedded store, wherever it is at the moment |
| `measured` | the same, measured and traced |
| `http_client` | HTTP/1.1 to one server |
| `grpc_channel` | gRPC to one server |
| `aliases` | which collection an alias stands for |
"""
