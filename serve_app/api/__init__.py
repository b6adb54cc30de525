"""The APIs: Qdrant's REST and gRPC, its inference service, OpenAI's embeddings, health checks."""
