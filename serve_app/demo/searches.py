"""The demo's searches, and tables of what they find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qdrant_client import QdrantClient, models
from rich.table import Table
from rich.text import Text

from serve_app.demo.collections import CAPTION_MODEL, IMAGES, TEXT_MODELS, TEXTS
from serve_app.demo.drawings import COLOURS

SHOWN = 5
CANDIDATES = 50

Hits = Sequence[models.ScoredPoint]


def by_one(client: QdrantClient, vector: str, text: str) -> Hits:
    """Texts, by one of their vectors."""
    query = models.Document(text=text, model=TEXT_MODELS[vector])
    return client.query_points(TEXTS, query=query, using=vector, limit=SHOWN).points


def by_all(client: QdrantClient, text: str) -> Hits:
    """Texts, by all of their vectors: reciprocal rank fusion of the candidates of each."""
    candidates = [
        models.Prefetch(query=models.Document(text=text, model=model), using=vector, limit=CANDIDATES)
        for vector, model in TEXT_MODELS.items()
    ]
    fusion = models.FusionQuery(fusion=models.Fusion.RRF)
    return client.query_points(TEXTS, prefetch=candidates, query=fusion, limit=SHOWN).points


def by_caption(client: QdrantClient, caption: str) -> Hits:
    """Drawings, by what they show."""
    return client.query_points(IMAGES, query=models.Document(text=caption, model=CAPTION_MODEL), limit=SHOWN).points


def text_table(hits: Hits) -> Table:
    """Score, name and summary of each hit."""
    table = Table("score", "", "name", "what it says", header_style="bold", expand=True)
    for column, ratio in zip(table.columns[2:], (2, 3), strict=True):
        column.ratio, column.no_wrap, column.overflow = ratio, True, "ellipsis"
    for hit in hits:
        payload = hit.payload or {}
        table.add_row(f"{hit.score:.3f}", payload["kind"], Text(payload["name"], "cyan"), Text(payload["summary"]))
    return table


def comparison(answers: Mapping[str, Hits]) -> Table:
    """The names that each way of searching found, side by side."""
    table = Table("", *answers, header_style="bold", expand=True)
    for column in table.columns[1:]:
        column.ratio, column.no_wrap, column.overflow = 1, True, "ellipsis"
    for rank in range(SHOWN):
        names = [(hits[rank].payload or {})["name"] if rank < len(hits) else "" for hits in answers.values()]
        table.add_row(str(rank + 1), *(Text(name, "cyan") for name in names))
    return table


def image_table(hits: Hits) -> Table:
    """Score, colours and caption of each hit."""
    table = Table("score", "", "drawing", header_style="bold")
    for hit in hits:
        payload = hit.payload or {}
        colour, background = (_rgb(payload[key]) for key in ("colour", "background"))
        table.add_row(f"{hit.score:.3f}", Text("  ██  ", f"{colour} on {background}"), Text(payload["caption"]))
    return table


def _rgb(colour: str) -> str:
    return "rgb({},{},{})".format(*COLOURS[colour])
