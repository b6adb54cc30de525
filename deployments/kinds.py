"""What there is in words alone, which costs nothing to import."""

from __future__ import annotations

from typing import Literal

VectorKind = Literal["dense", "sparse", "multivector", "score"]
"""What a model gives; a score is no vector, and nothing that Qdrant stores."""
