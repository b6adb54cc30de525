"""How long does a search with a text take, and how many can there be?

One text in each `points/query`, over REST and gRPC, in front of a store that answers at once, so that nothing but the
way through this software and the model is measured. Beside it, in the same run and with the same model file: the bare
model in one process, and a plain Ray Serve app. Where the time goes: by the service's own metrics, and by what each
process used.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext

import grpc.aio
import httpx
import orjson
from qdrant_client import grpc as q

from benchmarks import baseline, load, plain_serve, processes, stages, tables, targets, texts
from tests.support.running import RunningService, free_ports

_GRPC_METHOD = "/qdrant.Points/Query"
_HEAD = ("what", "at a time", "p50 ms", "p95 ms", "p99 ms", "a second", "to bare")
_STAGES = ("read", "decode", "wait", "call", "tokenize", "queue", "run", "encode", "store")
_SPENT_HEAD = (
    "processor time for one request, ms",
    "at a time",
    "HAProxy",
    "Ingress",
    "model",
    "Ray",
    "load generator",
)


def main() -> None:
    """Run all of it and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each line of the table")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 4, 16, 64, 128])
    parser.add_argument("--plain", action=argparse.BooleanOptionalAction, default=True, help="the plain app, too")
    asked = parser.parse_args()
    tables.show_machine()
    queries = texts.queries(1000)
    best = baseline.measure(queries)
    rows: list[Sequence[object]] = [
        ("bare model, one after the other", 1, best.one_text_ms, "", "", 1000 / best.one_text_ms, ""),
        ("bare model, best batches", len(queries), "", "", "", best.texts_per_second, 1.0),
    ]
    spent: list[Sequence[object]] = []
    staged: list[Sequence[object]] = []
    with processes.stub_store() as environment, processes.service(environment | stages.QUICK) as running:
        for concurrency in asked.concurrency:
            before = stages.spent(running, "search")
            outcome = over_rest(running, queries, concurrency, asked.seconds, spent)
            rows.append(_row("REST", outcome, concurrency, best))
            staged.append((concurrency, *_stages(before, stages.spent(running, "search"))))
        for concurrency in asked.concurrency:
            outcome = load.run(over_grpc(running, queries, concurrency, asked.seconds))
            rows.append(_row("gRPC", outcome, concurrency, best))
    (port,) = free_ports(1)
    with processes.module(plain_serve, str(port)) if asked.plain else nullcontext():
        for concurrency in asked.concurrency if asked.plain else ():
            outcome = plain(port, queries, concurrency, asked.seconds)
            rows.append(_row("plain Ray Serve", outcome, concurrency, best))
    tables.show("Searches with one text", _HEAD, rows)
    _note_targets({(str(row[0]), int(str(row[1]))): row for row in rows}, best)
    tables.show("Where a search's time goes, REST: mean ms of each stage", ("at a time", *_STAGES), staged)
    tables.show("Where the processors' time goes, REST", _SPENT_HEAD, spent)


def _row(what: str, outcome: load.Outcome, concurrency: int, best: baseline.Baseline) -> Sequence[object]:
    percentiles = [outcome.percentile(percent) for percent in (50, 95, 99)]
    return (what, concurrency, *percentiles, outcome.rate, outcome.rate / best.texts_per_second)


def _note_targets(rows: Mapping[tuple[str, int], Sequence[object]], best: baseline.Baseline) -> None:
    """What a search takes beyond the model, and the rates at 64 at a time, where both were measured."""
    if one := rows.get(("REST", 1)):
        targets.at_most("ms of a lone search beyond the bare model (p50)", float(str(one[2])) - best.one_text_ms, 2)
    many, plain = rows.get(("REST", 64)), rows.get(("plain Ray Serve", 64))
    if many and plain:
        rate = float(str(many[5]))
        targets.at_least("searches a second, 64 at a time, to the bare model", rate / best.texts_per_second, 0.85)
        targets.at_least("searches a second, 64 at a time, to plain Ray Serve", rate / float(str(plain[5])), 8)


def _stages(before: Mapping[str, stages.Spent], after: Mapping[str, stages.Spent]) -> Iterator[float]:
    """The mean time of each stage in between, in milliseconds; of `tokenize`, `queue` and `run` for a batch."""
    for stage in _STAGES:
        count, seconds = (after[stage][n] - before.get(stage, (0, 0.0))[n] for n in (0, 1))
        yield seconds / count * 1000 if count else 0.0


def over_rest(
    running: RunningService, queries: Sequence[str], concurrency: int, seconds: float, spent: list[Sequence[object]]
) -> load.Outcome:
    """Searches over REST; adds a line on the processors' time to `spent`."""
    bodies = [orjson.dumps({"query": {"text": text, "model": baseline.MINILM}, "limit": 3}) for text in queries]
    connect = load.http(
        running.rest_port, [load.http_request("POST", "/collections/c/points/query", body) for body in bodies]
    )
    load.run(load.offer(connect, concurrency, seconds / 5)).expect(200)
    before, own = processes.spent(running), load.processor_time()
    outcome: load.Outcome = load.run(load.offer(connect, concurrency, seconds)).expect(200)
    used, own = processes.spent(running).since(before), load.processor_time() - own
    model = used[baseline.MINILM.replace("/", "--")]
    each = (used["HAProxy"], used["Ingress"], model, used["Ray"], own)
    spent.append(("", concurrency, *(part / len(outcome.seconds) * 1000 for part in each)))
    return outcome


async def over_grpc(running: RunningService, queries: Sequence[str], concurrency: int, seconds: float) -> load.Outcome:
    """Searches over gRPC."""
    messages = [
        q.QueryPoints(
            collection_name="c",
            query=q.Query(nearest=q.VectorInput(document=q.Document(text=text, model=baseline.MINILM))),
            limit=3,
        ).SerializeToString()
        for text in queries
    ]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.grpc_port}") as channel:
        connect = load.rpc(channel, _GRPC_METHOD, messages)
        (await load.offer(connect, concurrency, seconds / 5)).expect("OK")
        return (await load.offer(connect, concurrency, seconds)).expect("OK")


def plain(port: int, queries: Sequence[str], concurrency: int, seconds: float) -> load.Outcome:
    """The plain app, which gives back the vector and searches nowhere."""
    bodies = [orjson.dumps({"text": text}) for text in queries]
    vector = httpx.post(f"http://127.0.0.1:{port}/", content=bodies[0], timeout=30).json()
    if len(vector) != 384:
        raise RuntimeError("the plain app gave no vector")
    connect = load.http(port, [load.http_request("POST", "/", body) for body in bodies])
    load.run(load.offer(connect, concurrency, seconds / 5)).expect(200)
    outcome: load.Outcome = load.run(load.offer(connect, concurrency, seconds)).expect(200)
    return outcome


if __name__ == "__main__":
    main()
