"""What fastembed lists, and the table of docs/fastembed.md.

python -m tests.support.fastembed_models          prints the table
python -m tests.support.fastembed_models facts    stores anew what an installed fastembed lists
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from deployments.catalogue.card import ModelCard
from deployments.catalogue.catalogue import HOME, Catalogue, load

CATALOGUE = "configs/models/fastembed.yaml"
FACTS = HOME / "tests" / "data" / "fastembed.json"
_HEAD = (
    "model",
    "gives",
    "dimensions",
    "reads (tokens)",
    "pooling",
    "before a query",
    "before a passage",
    "was run with",
    "runs as",
)
_WITH_REAL_WEIGHTS = {"BAAI/bge-small-en-v1.5", "sentence-transformers/all-minilm-l6-v2"}
_WITH_RANDOM_WEIGHTS = {"bm42", "minicoil"}
"""Families of whose ready files small ones were made."""

_POOLINGS = {
    "OnnxTextEmbedding": ("cls", True),
    "PooledNormalizedEmbedding": ("mean", True),
    "PooledEmbedding": ("mean", False),
    "LastTokenNormalizedEmbedding": ("last", True),
}
"""Of fastembed's classes: the pooling, and whether vectors are normalized; others' files pool by themselves."""

_LISTS = (
    "fastembed.SparseTextEmbedding",
    "fastembed.LateInteractionTextEmbedding",
    "fastembed.rerank.cross_encoder.TextCrossEncoder",
)


def table() -> str:
    """All models of the catalogue, in Markdown."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (_HEAD, ["---"] * len(_HEAD), *_rows(load(CATALOGUE))))


def _rows(catalogue: Catalogue) -> Iterator[list[str]]:
    listed = {name.lower() for name in facts()}
    for card in sorted(catalogue, key=lambda card: (card.family, card.name.lower())):
        if listed.intersection(name.lower() for name in (card.name, *card.aliases)):
            yield _row(card)
    for name, reason in catalogue.not_yet.items():
        yield [f"`{name}`", *["-"] * (len(_HEAD) - 2), f"not yet: {reason}"]


def _row(card: ModelCard) -> list[str]:
    query = card.instruction.prefix(None) if card.instruction else card.prefixes.query
    numbers = [str(number or "-") for number in (card.dimensions, card.context_window)]
    pooling = f"{card.pooling or '-'}{'' if card.normalize else ', not normalized'}"
    prefixes = [_quoted(text) if text else "-" for text in (query, card.prefixes.passage)]
    gives = card.vector_kind if len(card.reads) == 1 else f"{card.vector_kind}, of images too"
    return [f"`{card.name}`", gives, *numbers, pooling, *prefixes, _was_run_with(card), runs_as(card)]


def _was_run_with(card: ModelCard) -> str:
    """Which weights a model was run with here; random ones are those of a small model of its architecture."""
    if card.name in _WITH_REAL_WEIGHTS:
        return "real weights"
    if card.family in _WITH_RANDOM_WEIGHTS:
        return "random weights"
    return {"own code": "-", "built here": "random weights", "ready file": "not at all"}[runs_as(card)]


def _quoted(text: str) -> str:
    return f"`{json.dumps(text, ensure_ascii=False)}`".replace("|", "\\|")


def runs_as(card: ModelCard) -> str:
    """How a model is run, by its first source."""
    if not card.sources:
        return "own code"
    return "built here" if "model.safetensors" in card.sources[0].files else "ready file"


def facts() -> Mapping[str, Mapping[str, Any]]:
    """What was stored of fastembed's list, by names: dimensions, pooling, and whether vectors are normalized."""
    models: dict[str, dict[str, Any]] = json.loads(FACTS.read_text(encoding="utf-8"))["models"]
    return models


def live_facts() -> dict[str, dict[str, Any]]:
    """The same of the fastembed that is installed."""
    from fastembed import TextEmbedding  # noqa: PLC0415  in few environments

    found = {
        one.model: {"dimensions": one.dim, **_pooling(kind.__name__)}
        for kind in TextEmbedding.EMBEDDINGS_REGISTRY
        for one in kind._list_supported_models()
    }
    for path in _LISTS:
        module, _, name = path.rpartition(".")
        listing = getattr(__import__(module, fromlist=[name]), name)
        found |= {one["model"]: {"dimensions": one.get("dim")} for one in listing.list_supported_models()}
    return found


def _pooling(kind: str) -> dict[str, Any]:
    pooling, normalized = _POOLINGS.get(kind, (None, None))
    return {} if pooling is None else {"pooling": pooling, "normalized": normalized}


def main() -> None:
    """Print the table, or store the facts."""
    if "facts" in sys.argv:
        stored = {"version": version("fastembed"), "models": live_facts()}
        Path(FACTS).write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    else:
        sys.stdout.write(table())


if __name__ == "__main__":
    main()
