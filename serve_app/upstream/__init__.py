"""The way to Qdrant, or to the embedded store."""
