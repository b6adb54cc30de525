"""Vectors into the slots that wanted them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deployments.contract import Floats, SparseVector, Vector
from deployments.errors import InternalError, WrongInput
from serve_app.inference.plan import Group, Use


def fill(group: Group, vectors: Sequence[Vector]) -> None:
    """Write the vectors of a group's inputs, in their order, into its slots.

    Raises:
        InternalError: there are not as many vectors as inputs.
        WrongInput: a sparse vector would go where the collection's unnamed vector stands, which is dense.
    """
    if len(vectors) != len(group.inputs):
        raise InternalError(f"{group.card.name} gave {len(vectors)} vectors for {len(group.inputs)} inputs")
    for use in group.uses:
        use.slot.put(_fitting(vectors[use.position], use, group))


def _fitting(vector: Vector, use: Use, group: Group) -> Vector:
    if isinstance(vector, SparseVector):
        if not use.slot.named:
            raise WrongInput(
                f"{use.slot.where}: {group.card.name} gives sparse vectors, which Qdrant stores under a name only: "
                "name the vector (in a query: 'using')"
            )
        return vector
    return vector if use.mrl is None else cut(vector, use.mrl)


def cut(vector: Floats, length: int) -> Floats:
    """The first `length` numbers of a dense vector, brought to length 1 again.

    Source: Kusupati et al., Matryoshka Representation Learning (2022), section 3.
    """
    head = vector[:length]
    norm = float(np.linalg.norm(head))
    return (head / norm).astype(np.float32) if norm > 0 else head
