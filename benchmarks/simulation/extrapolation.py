"""A billion texts a day, on paper: `python -m benchmarks.simulation.extrapolation` prints docs/scaling.md's tables.

Each input is a field with its source; change one and read what follows from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks import tables
from benchmarks.simulation.day import PEAK, PHASES

_BUSY = 0.8
"""`deployments.autoscaling`: the share of their time that replicas are meant to be busy."""

HELD_TO_IDEAL, PAID_TO_IDEAL = 1.26, 1.43
"""GPU time to the ideal, as the simulated day measured it (docs/simulation.md): of the shares that replicas hold, and
of whole nodes, which are there before and after the replicas and are what is paid for.
"""


def _mean_factor() -> float:
    """The day's mean traffic, as a multiple of the base."""
    before, total = 1.0, 0.0
    for phase in PHASES:
        start = phase.ends_at if phase.name == "burst" else before
        total += phase.share * (start + phase.ends_at) / 2
        before = phase.ends_at
    return total


@dataclass(frozen=True)
class Model:
    """A model on one processor: `tokens_a_second` of it, and the vector's size."""

    name: str
    tokens_a_second: float
    dimensions: int


MODELS = (
    # FACTS: text-embeddings-inference, 894 thousand; onnxruntime 24% behind it for bge-large.
    Model("bge-small on L4", 894_000 * 0.76, 384),
    Model("mxbai-embed-large on L4", 47_000, 1024),
    Model("all-MiniLM-L6-v2 on 2 CPU cores", 28_000, 384),
)


@dataclass(frozen=True)
class Day:
    """The inputs."""

    texts: float = 1e9
    searches: float = 0.1
    """The share of texts that are searches, one each; others come in upserts."""
    tokens: float = 52
    """Of a text: 103 thousand tokens in the 2,000 docstrings of `benchmarks.ingest`."""
    bytes_of_text: float = 230
    texts_of_upsert: float = 64
    search_s: float = 0.002
    """Processor time of the ingress for a search: 500 a second and core."""
    upsert_s: float = 0.00125
    """For an upsert as such: 0.55 ms that every request costs, 0.7 ms for the call of the model."""
    text_s: float = 0.000032
    """For each text of it: 32 ms for 1,000 (benchmarks/NOTES.md)."""
    ingress_busy: float = 0.6
    json_bytes: float = 9.1
    """Of a number of a vector: 3.5 KB for 384 (`benchmarks.scaling`)."""
    copies: float = 2
    """Qdrant's replication factor."""
    qdrant_points_a_second: float = 3000
    """That a Qdrant node takes and indexes; an assumption, nothing of it was measured here."""
    qdrant_bytes: float = 64e9
    """Memory of a Qdrant node."""
    price: float = 0.8
    """Of an hour of one L4, or of two CPU cores a tenth of it; an assumption: put your own in."""

    @property
    def mean(self) -> float:
        """Texts a second."""
        return self.texts / 86_400

    @property
    def peak(self) -> float:
        """Texts a second in the burst of the day that is simulated."""
        return self.mean * PEAK / _mean_factor()

    @property
    def ingress_cores(self) -> float:
        """Cores that the ingress uses at the peak."""
        searches, texts = self.peak * self.searches, self.peak * (1 - self.searches)
        return searches * self.search_s + texts * (self.upsert_s / self.texts_of_upsert + self.text_s)


def compute(day: Day, model: Model) -> tuple[object, ...]:
    """Replicas at the peak; hours a day of GPUs, or of two cores, held by them; of whole nodes, and their cost."""
    replicas = day.peak * day.tokens / (model.tokens_a_second * _BUSY)
    ideal = day.mean * day.tokens / model.tokens_a_second * 24
    cost = ideal * PAID_TO_IDEAL * day.price * (0.1 if "CPU" in model.name else 1)
    per_million = cost / (day.texts * day.tokens / 1e6)
    hours = round(ideal * HELD_TO_IDEAL), round(ideal * PAID_TO_IDEAL)
    return model.name, math.ceil(replicas), *hours, f"${cost:,.0f}", f"${per_million:.4f}"


def around(day: Day, model: Model) -> tuple[object, ...]:
    """Network and Qdrant at the peak."""
    points = day.peak * (1 - day.searches)
    stored = day.texts * (1 - day.searches) * model.dimensions * 4
    memory = stored * 1.5 * day.copies  # Qdrant's documentation: memory = vectors x dimensions x 4 x 1.5
    return (
        model.dimensions,
        f"{points * model.dimensions * day.json_bytes * 8 / 1e9:.1f}",
        f"{points * model.dimensions * 4 * 8 / 1e9:.1f}",
        math.ceil(points * day.copies / day.qdrant_points_a_second),
        f"{stored / 1e12:.1f}",
        math.ceil(memory / day.qdrant_bytes),
        math.ceil(memory / 4 / day.qdrant_bytes),
    )


def main() -> None:
    """Print the tables."""
    day = Day()
    ingress = math.ceil(day.ingress_cores / day.ingress_busy)
    only_searches = math.ceil(Day(searches=1.0).ingress_cores / day.ingress_busy)
    traffic = [("mean", day.mean, day.mean * day.tokens), ("peak", day.peak, day.peak * day.tokens)]
    tables.show("Traffic", ("load", "texts a second", "tokens a second"), traffic)
    tables.show(
        "Ingress replicas at the peak", ("a tenth are searches", "all are searches"), [(ingress, only_searches)]
    )
    hours = ("hours a day held by replicas", "of whole nodes")
    head = ("model", "replicas at the peak", *hours, "cost of whole nodes a day", "a million tokens")
    tables.show("Models", head, [compute(day, model) for model in MODELS])
    network = ("Gbit/s to Qdrant, REST", "gRPC")
    qdrant = ("Qdrant nodes by rate", "TB a day", "nodes of 64 GB for it, float32 in memory", "int8 in memory")
    around_head = ("dimensions", *network, *qdrant)
    tables.show("Around them", around_head, [around(day, model) for model in MODELS[:2]])


if __name__ == "__main__":
    main()
