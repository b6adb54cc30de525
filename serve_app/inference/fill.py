"""Vectors into the slots that wanted them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from deployments.contract import Floats, SparseVector, Vector
from deployments.errors import BadOption, InternalError
from serve_app.inference.plan import Group


def fill(group: Group, vectors: Sequence[Vector]) -> None:
    """Write the vectors of a group's inputs, in their order, into its slots.

    Raises:
        InternalError: there are not as many vectors as inputs.
        BadOption: a vector is shorter than what it should be cut to.
    """
    if len(vectors) != len(group.inputs):
        raise InternalError(f"{group.card.name} gave {len(vectors)} vectors for {len(group.inputs)} inputs")
    kinds = group.kinds
    for use in group.uses:
        vector = vectors[use.position]
        if kinds:
            vector = cast("Sequence[Vector]", vector)[kinds.index(use.kind)]
        if use.mrl is not None and not isinstance(vector, SparseVector):
            if use.mrl > len(vector):  # of an external provider, or of one that was asked for shorter vectors
                raise BadOption(f"{use.slot.where}.options.mrl: the vector has {len(vector)} numbers")
            vector = cut(vector, use.mrl)
        use.slot.put(vector)


def cut(vector: Floats, length: int) -> Floats:
    """The first `length` numbers of a dense vector, brought to length 1 again.

    Source: Kusupati et al., Matryoshka Representation Learning (2022), section 3.
    """
    head = vector[:length]
    norm = float(np.linalg.norm(head))
    return (head / norm).astype(np.float32) if norm > 0 else head
