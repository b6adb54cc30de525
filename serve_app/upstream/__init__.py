"""The way to Qdrant, or to the embedded store.

| file | what is in it |
|---|---|
| `base` | the protocol of a way to Qdrant |
| `remote` | Qdrant servers elsewhere |
| `embedded` | the embedded store, wherever it is at the moment |
| `measured` | the same, measured and traced |
| `http_client` | HTTP/1.1 to one server |
| `grpc_channel` | gRPC to one server |
| `http2_connection` | one connection of HTTP/2 |
| `http2_frames` | its frames and header blocks |
| `aliases` | which collection an alias stands for |
"""
