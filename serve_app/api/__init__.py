"""The APIs: what callers speak.

| file | what is in it |
|---|---|
| `rest` | Qdrant's REST API, as an ASGI app; hands the other APIs their requests |
| `grpc` | Qdrant's gRPC API |
| `grpc_callers` | who may call over gRPC, asked before a message is read |
| `inference_service` | `POST /inference`, which a Qdrant server calls |
| `openai` | `/v1/embeddings` and `/v1/models` |
| `rerank` | `/v1/rerank`, `/v2/rerank` and `/rerank` |
| `health` | `/healthz`, `/livez`, `/readyz` |
| `cors` | which pages of other origins may ask |
| `compressed_answers` | answers that are compressed on their way out |
| `route_templates` | a request's route without what its caller put there |
| `management/` | the console's JSON API |
| `web_pages` | what a service without keys refuses of web pages elsewhere |
"""
