"""A replica of a model that was added while the service ran."""

from __future__ import annotations

from deployments.catalogue.card import ModelCard
from deployments.files.store import ModelStore, State, cache_folder
from deployments.replica.served import ServedReplica


class FetchingReplica(ServedReplica):
    """Fetches the model's files if its node does not have them: nobody could put them there before."""

    def __init__(self, card: ModelCard) -> None:
        store = ModelStore(cache_folder())
        folder = store.folder(card) if store.state(card) is State.READY else store.pull(card)
        super().__init__(card, str(folder) if folder else None)
