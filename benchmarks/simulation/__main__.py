"""How does the cluster follow a day's traffic? `python -m benchmarks.simulation`; see docs/scaling.md.

A service on nodes and GPUs that are made up, with Ray's own autoscalers, is given a day that is pressed into minutes.
Ends with 1 where a target was missed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import httpx
import yaml

from benchmarks import load, machine, processes, stub_qdrant
from benchmarks.simulation import config, gpu, plot, result, traffic
from benchmarks.simulation.day import Day, Kind
from benchmarks.simulation.result import Probe, Result, Target
from deployments.catalogue import catalogue
from deployments.catalogue.catalogue import HOME
from tests.support.running import RunningService, free_ports

KINDS = (
    Kind("search", config.ALWAYS_THERE, rate=2.0, texts=1, words=8),
    Kind("upsert of 8", config.ALWAYS_THERE, rate=1.9, texts=8, words=40),
    Kind("search from zero", config.FROM_ZERO, rate=0.3, texts=1, words=8, all_day=False),
    Kind("upsert of 8 from zero", config.FROM_ZERO, rate=0.2, texts=8, words=40, all_day=False),
)
_AFTER_S = 5.0
_PAGE = """# {title}

Written by `make simulate`, with the picture beside it. [`scaling.md`](scaling.md) says what was simulated.
Machine: {machine}.

| what | wanted | reached | met |
|---|---|---|---|
{rows}

![the day](simulation.png)
"""


def main() -> int:
    """Run the day, print the targets, and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=7.0, help="of the day")
    parser.add_argument("--output", type=Path, default=HOME / "docs", help="folder of the picture and the page")
    asked = parser.parse_args()
    day = Day(asked.minutes * 60)
    found = _run(day)
    asked.output.mkdir(exist_ok=True)
    title = f"A day in {asked.minutes:g} minutes, scale 1:{gpu.SCALE:g}"
    plot.draw(found, [asked.output / f"simulation.{ending}" for ending in ("png", "svg")], title)
    targets = result.targets(found)
    text = _PAGE.format(title=title, machine=machine.describe(), rows="\n".join(map(_row, targets)))
    (asked.output / "simulation.md").write_text(text)
    print(text)
    return 1 if any(target.met is False for target in targets) else 0


def _row(target: Target) -> str:
    met = {True: "yes", False: "**no**", None: ""}[target.met]
    return f"| {target.name} | {target.wanted} | {target.reached} | {met} |"


def _run(day: Day) -> Result:
    processes.exit_on_sigterm()
    (store,) = free_ports(1)
    with tempfile.TemporaryDirectory() as name, stub_qdrant.rest_store(store):
        folder = Path(name)
        samples = folder / "samples.jsonl"
        service = RunningService(
            folder,
            {"QDRANT_URL": f"http://127.0.0.1:{store}", "SAMPLES": str(samples)},
            (sys.executable, "-m", "benchmarks.simulation.cluster"),
        )
        settings = config.serve_config(service.rest_port, service.grpc_port, day.seconds)
        service.config.write_text(yaml.safe_dump(settings))
        try:
            service.start()
            log, probe = load.run(_live(service, day))
            return Result(day, KINDS, _tokens(), log, result.read_samples(samples, log.began), probe)
        finally:
            service.stop()


async def _live(service: RunningService, day: Day) -> tuple[traffic.Log, Probe]:
    """The day itself, and in its first minute a request to a model that no node can take."""
    probe = asyncio.create_task(_probe(service))
    log = await traffic.send_all(service.rest_port, day.arrivals(KINDS), KINDS)
    await asyncio.sleep(_AFTER_S)
    return log, await probe


async def _probe(service: RunningService) -> Probe:
    body = {"query": {"text": "a text for nobody", "model": config.TOO_LARGE}}
    async with httpx.AsyncClient(base_url=service.rest_address, timeout=traffic.PATIENCE_S) as client:
        began = time.perf_counter()
        answer = await client.post("/collections/c/points/query", json=body)
    return Probe(answer.status_code, time.perf_counter() - began, answer.headers.get("retry-after"))


def _tokens() -> dict[str, float]:
    """Tokens of an average request of each kind."""
    models = catalogue.load("configs/models/qdrant-cloud.yaml")
    prefixes = {kind.name: models.find(kind.model, "").prefixes.query if kind.texts == 1 else "" for kind in KINDS}
    return {kind.name: traffic.tokens_of(kind, prefixes[kind.name]) for kind in KINDS}


if __name__ == "__main__":
    sys.exit(main())
