"""From requests to batches, and how much work may wait."""
