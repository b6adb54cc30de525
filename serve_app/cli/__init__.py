"""The command line: `qdrant-inference`."""
