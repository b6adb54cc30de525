"""The engine in Python: qdrant-client's local mode."""
