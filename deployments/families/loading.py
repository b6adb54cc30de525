"""From the files of a model to the model."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from deployments.catalogue.card import ModelCard
from deployments.errors import ModelError
from deployments.families.protocol import Family
from deployments.files.store import ModelStore, cache_folder
from deployments.networks.settings import SessionSettings


def load_family(card: ModelCard, folder: Path | None, settings: SessionSettings) -> Family:
    """Load a model from the folder of its files (none for a model without files).

    Files that were pulled are read and checked first: changed weights would load as well, and give wrong vectors. A
    family's libraries are imported only here, so that a BM25 replica carries no tokenizer.

    Raises:
        ModelError: the model cannot be run here, or not with these settings.
        ModelFilesError: its files are missing or damaged.
    """
    if card.provider:
        raise ModelError(f"{card.name} runs at its provider, {card.provider.host}")
    if folder is not None:
        ModelStore(cache_folder()).check(card, folder)
    family: Family = import_module(card.spec.provider).load(card, folder, settings)
    return family
