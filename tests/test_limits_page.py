"""docs/limits.md tells the limits that there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployments.catalogue.card import ImageLimits
from deployments.images.loader import LoaderSettings
from serve_app.api.openai import MOST_INPUTS
from serve_app.api.rerank import MOST_DOCUMENTS
from serve_app.config.settings import IngressSettings
from serve_app.embedded.edge.filter_work import MOST_CHECKS
from serve_app.embedded.edge.filters import MOST_CONDITIONS
from serve_app.protocol.json_text import MOST_CONTAINERS

PAGE = (Path(__file__).parent.parent / "docs" / "limits.md").read_text(encoding="utf-8")
ROWS = {
    cells[1].strip(): cells[2].strip() for cells in (line.split("|") for line in PAGE.splitlines()) if len(cells) > 4
}
INGRESS, IMAGES, LOADER = IngressSettings(), ImageLimits(), LoaderSettings()


@pytest.mark.parametrize(
    ("row", "limit"),
    [
        ("body that may hold inference objects", f"{INGRESS.body_bytes >> 20} MiB"),
        ("inference objects in a request", f"{INGRESS.objects:,}"),
        ("images among them", f"{INGRESS.images}"),
        ("a text", f"{INGRESS.text_characters:,} characters"),
        ("nesting of a body", f"{INGRESS.depth} levels"),
        ("objects and arrays in a body that is looked into", f"{MOST_CONTAINERS:,}"),
        (
            "conditions of a filter in the embedded store",
            f"{MOST_CONDITIONS:,}; those without a payload index, times points: {MOST_CHECKS:,}",
        ),
        ("tokens that wait for a model at a gateway", f"{INGRESS.queue_tokens:,}"),
        ("a request with inference objects", f"{INGRESS.timeout_s:g} s"),
        ("Qdrant's silence", f"{INGRESS.qdrant_timeout_s:g} s"),
        ("inputs of `/v1/embeddings`", f"{MOST_INPUTS:,}"),
        (
            "documents to [rerank](rerank.md)",
            f"{MOST_DOCUMENTS:,}, each with the query, `body_bytes` characters in all",
        ),
        ("an image", f"{IMAGES.max_bytes >> 20} MiB and {IMAGES.max_pixels // 1_000_000} megapixels"),
        (
            "fetching an image",
            f"{LOADER.timeout_s:g} s, {LOADER.max_redirects} redirects, ports 80 and 443, public addresses",
        ),
    ],
)
def test_a_limit_is_the_default(row: str, limit: str) -> None:
    assert ROWS[row] == limit
