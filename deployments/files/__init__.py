"""The files of models: where they come from, and the cache where they are kept."""
