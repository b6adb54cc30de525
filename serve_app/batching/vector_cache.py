"""The vectors of searches that were asked before: equal queries are common.

An ingress replica keeps those of searches with one text for a model, as nearly all are. A text is not kept: what is
looked up is a digest with a random key of the process, of the model with the hashes of its files, the options, the
tenant and the text. So nobody who reads the memory finds texts, and no tenant can tell by its answers' speed what
another one has searched for.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import NamedTuple

import numpy as np

from deployments.catalogue.card import ModelCard, RoutedCard
from deployments.catalogue.options import as_key
from deployments.contract import SparseVector, Vector
from deployments.weighed_cache import WeighedCache
from serve_app.config.settings import LiveSettings
from serve_app.inference.plan import Group
from serve_app.observability.metrics import VECTOR_CACHE

_OVERHEAD = 500
"""Bytes of an entry beside its numbers."""


class Known(NamedTuple):
    """The vector of a text, and how many tokens the model read for it."""

    vector: Vector
    tokens: int


class VectorCache:
    """Bounded by the setting `vector_cache_bytes`; with 0 it keeps nothing."""

    def __init__(self, settings: LiveSettings) -> None:
        self._secret = secrets.token_bytes(32)
        self._origins: dict[str, tuple[ModelCard, bytes | None]] = {}
        self._settings = settings
        self._room = -1
        self._resize()
        settings.follow(self._resize)

    def key(self, group: Group, tenant: str | None) -> bytes | None:
        """By what the vector of a group's text is known; None if it is not to be kept."""
        origin = self._origin(group.card)
        if not self._room or origin is None or not _is_one_search(group):
            return None
        digest = hashlib.blake2b(key=self._secret, digest_size=32)
        for part in (origin, as_key(group.options, ""), (tenant or "").encode(), str(group.inputs[0]).encode()):
            digest.update(len(part).to_bytes(8, "little") + part)
        return digest.digest()

    def find(self, key: bytes, model: str) -> Known | None:
        """What is known by a key."""
        known = self._kept.find(key)
        VECTOR_CACHE.add(1, model, "miss" if known is None else "hit")
        return known

    def keep(self, key: bytes, vector: Vector, tokens: int) -> None:
        """Know a vector from now on."""
        own = _own(vector)
        size = own.indices.nbytes + own.values.nbytes if isinstance(own, SparseVector) else own.nbytes
        self._kept.keep(key, Known(own, tokens), size + _OVERHEAD)

    def _origin(self, card: ModelCard) -> bytes | None:
        """What the vectors of a model depend on, worked out once; of models behind a provider's route nothing is."""
        if isinstance(card, RoutedCard):
            return None
        known = self._origins.get(card.name)
        if known is None or known[0] is not card:
            known = self._origins[card.name] = card, _origin(card)
        return known[1]

    def _resize(self) -> None:
        room = self._settings.current.vector_cache_bytes
        if room != self._room:
            self._room = room
            self._kept = WeighedCache[bytes, Known](room)


def _is_one_search(group: Group) -> bool:
    return group.direction == "search" and group.reads == "text" and not group.kinds and len(group.inputs) == 1


def _origin(card: ModelCard) -> bytes | None:
    """What the vectors of a model depend on; None if that could change without a word, or is a matter of others."""
    files = [file for source in card.sources for file in source.files.values()]
    if card.provider or "text" not in card.reads or not all(file.sha256 for file in files):
        return None
    return hashlib.sha256(card.model_dump_json().encode()).digest()


def _own(vector: Vector) -> Vector:
    """A copy: what a batch gives is a part of a larger array, which would be kept with it."""
    if isinstance(vector, SparseVector):
        return SparseVector(_own_array(vector.indices), _own_array(vector.values))
    return _own_array(vector)


def _own_array(array: np.ndarray) -> np.ndarray:
    copy = array.copy()
    copy.flags.writeable = False
    return copy
