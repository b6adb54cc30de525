"""How fast do texts become points?

Docstrings of very different length, in upserts of 64 points, 4 under way at a time: dense vectors alone, and dense with
BM25 and SPLADE; into a store that forgets them, to see inference alone, and into the embedded one. Beside it, in the
same run and on the same texts: the bare model, and what a user would take instead (`peers/`).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import httpx
import orjson

from benchmarks import baseline, load, peer_runs, processes, tables, targets, texts
from tests.support.running import RunningService

POINTS = 64
_AT_A_TIME = 4
MODELS = {"dense": baseline.MINILM, "bm25": "qdrant/bm25", "splade": "starter/splade-tiny"}
COLLECTION = {
    "vectors": {"dense": {"size": 384, "distance": "Cosine"}},
    "sparse_vectors": {"bm25": {"modifier": "idf"}, "splade": {}},
}


def main() -> None:
    """Run all of it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=6400)
    parser.add_argument("--bare-texts", type=int, default=6400, help="for the bare model, which reads them eight times")
    parser.add_argument("--peer-texts", type=int, default=1000, help="for the peers, which take long")
    parser.add_argument("--stores", nargs="+", choices=["forgets", "embedded"], default=["forgets", "embedded"])
    asked = parser.parse_args()
    tables.show_machine()
    corpus = texts.corpus(asked.texts)
    best = baseline.measure(corpus[: asked.bare_texts])
    rows: list[Sequence[Any]] = [("bare model, sorted by length", "dense", "none", best.texts_per_second, 1.0)]
    for store in asked.stores:
        stub = processes.stub_store() if store == "forgets" else nullcontext({})
        with stub as environment, processes.service(environment) as running:
            for names in (["dense"], list(MODELS)):
                rate = ingest(running, corpus, names)
                rows.append(("this service", " + ".join(names), store, rate, rate / best.texts_per_second))
    ours = float(rows[1][3])
    targets.at_least("texts a second to the bare model", ours / best.texts_per_second, 0.85)
    peers = peer_runs.measure(corpus[: asked.peer_texts])
    _note_peers(ours, peers)
    for name, found in peers.items():
        if isinstance(found, str):
            rows.append((name, "dense", "", found, ""))
        else:
            rows.append((name, "dense", "none", found, found / best.texts_per_second))
    tables.show("Texts a second", ("what", "vectors", "store", "texts a second", "to bare"), rows)


def _note_peers(ours: float, peers: Mapping[str, float | str]) -> None:
    client, reached = peers[peer_runs.CLIENT_SIDE], [rate for rate in peers.values() if isinstance(rate, float)]
    if isinstance(client, str):
        targets.missing("texts a second to the client's own way", client)
        return
    targets.at_least("texts a second to the client's own way", ours / client, 8)
    targets.at_least("texts a second to the fastest of the peers", ours / max(reached), 4)


def ingest(running: RunningService, corpus: Sequence[str], names: Sequence[str]) -> float:
    """Texts a second; the first few upserts are sent beforehand and not counted."""
    name = "-".join(names)
    httpx.put(f"{running.rest_address}/collections/{name}", json=COLLECTION).raise_for_status()
    path = f"/collections/{name}/points?wait=true"
    upserts = [load.http_request("PUT", path, upsert(corpus, start, names)) for start in range(0, len(corpus), POINTS)]
    load.run(load.offer(load.http(running.rest_port, upserts), _AT_A_TIME, 60, limit=8)).expect(200)
    outcome = load.run(load.offer(load.http(running.rest_port, upserts), _AT_A_TIME, 600, limit=len(upserts)))
    return len(corpus) / float(outcome.expect(200).elapsed)


def upsert(corpus: Sequence[str], start: int, names: Sequence[str]) -> bytes:
    """The body of an upsert of so many texts from `start` on, each with these vectors."""
    points = [
        {"id": number, "vector": {name: {"text": corpus[number], "model": MODELS[name]} for name in names}}
        for number in range(start, min(start + POINTS, len(corpus)))
    ]
    return orjson.dumps({"points": points})


if __name__ == "__main__":
    main()
