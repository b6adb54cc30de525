"""The kinds of models: each prepares a batch and runs parts of it, knowing nothing of Ray, queues or budgets."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.errors import ModelError

if TYPE_CHECKING:
    from deployments.catalogue import ModelCard
    from deployments.families.protocol import Family
    from deployments.session import SessionSettings

_MODULES = {
    "dense": "dense",
    "sparse": "sparse",
    "bm25": "bm25",
    "clip-text": "clip_text",
    "clip-vision": "clip_vision",
}


def load_family(card: ModelCard, folder: Path | None, settings: SessionSettings) -> Family:
    """Load a model from the folder of its files (none for a model without files).

    A family's libraries are imported only here, so that a BM25 replica carries no tokenizer.

    Raises:
        ModelError: the model cannot be run here, or not with these settings.
        ModelFilesError: its files are missing or damaged.
    """
    if card.family not in _MODULES:
        raise ModelError(f"{card.name}: models of the family '{card.family}' cannot be run yet")
    family: Family = import_module(f"deployments.families.{_MODULES[card.family]}").load(card, folder, settings)
    return family
