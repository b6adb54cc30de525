"""The models: what they are, where their files come from, and how they run."""
