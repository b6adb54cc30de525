"""The catalogue of what is served now."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.catalogue.catalogue import Catalogue
from deployments.errors import UnknownModel
from serve_app.cluster.served import LiveCatalogue
from tests.support.cards import BM25, DENSE


def test_why_a_model_cannot_be_served_yet_is_told_by_a_running_service_too() -> None:
    live = LiveCatalogue(Catalogue((DENSE,), Path("test.yaml"), {"org/later": "it has no family here"}))
    live.turn((BM25,))
    assert live.find("qdrant/bm25", "query") is BM25
    with pytest.raises(UnknownModel, match="query: Org/Later cannot be served yet: it has no family here"):
        live.find("Org/Later", "query")
