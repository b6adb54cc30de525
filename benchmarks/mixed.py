"""What does a search feel of a bulk upload?

Searches with one text, two at a time, first alone, then while upserts of 64 docstrings, 8 at a time, keep the same
model busy all the while. The store forgets, so that only the model is shared.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

import orjson

from benchmarks import baseline, load, processes, tables, targets, texts
from benchmarks.ingest import upsert
from tests.support.running import RunningService

_SEARCHES, _UPSERTS = 2, 8


def main() -> None:
    """Run both and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each line of the table")
    seconds: float = parser.parse_args().seconds
    tables.show_machine()
    with processes.stub_store() as environment, processes.service(environment) as running:
        alone, together, upload = load.run(_measure(running, seconds))
    rows: list[Sequence[object]] = [
        ("alone", *_columns(alone), 1.0, ""),
        ("during the upload", *_columns(together), together.percentile(99) / alone.percentile(99), _texts(upload)),
    ]
    head = ("searches", "p50 ms", "p99 ms", "a second", "p99 to alone", "texts uploaded a second")
    tables.show("Searches during a bulk upload", head, rows)
    targets.at_most(
        "p99 of searches during an upload, to p99 without", together.percentile(99) / alone.percentile(99), 3
    )


def _columns(outcome: load.Outcome) -> tuple[float, float, float]:
    return outcome.percentile(50), outcome.percentile(99), outcome.rate


def _texts(upload: load.Outcome) -> float:
    return upload.rate * 64


async def _measure(running: RunningService, seconds: float) -> tuple[load.Outcome, load.Outcome, load.Outcome]:
    corpus = texts.corpus(6400)
    bodies = [orjson.dumps({"query": {"text": text, "model": baseline.MINILM}}) for text in texts.queries(1000)]
    searches = [load.http_request("POST", "/collections/c/points/query", body) for body in bodies]
    upserts = [
        load.http_request("PUT", "/collections/c/points", upsert(corpus, start, ["dense"]))
        for start in range(0, len(corpus), 64)
    ]
    search, write = load.http(running.rest_port, searches), load.http(running.rest_port, upserts)
    await load.offer(search, _SEARCHES, seconds / 5)
    alone = await load.offer(search, _SEARCHES, seconds)
    upload = asyncio.create_task(load.offer(write, _UPSERTS, seconds * 1.2 + 2))
    await asyncio.sleep(seconds / 10 + 1)  # until the model is busy
    together = await load.offer(search, _SEARCHES, seconds)
    return alone.expect(200), together.expect(200), (await upload).expect(200)


if __name__ == "__main__":
    main()
