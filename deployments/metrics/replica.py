"""What a model's replica and the image loader measure. OBSERVABILITY.md says what each metric is for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from deployments.errors import WrongInput
from deployments.metrics.instruments import COUNTS, STAGE_SECONDS, Counter, Gauge, Histogram

_OF_MODEL = ("model", "operation")

CHECK = "check"
"""The operation of a replica's own health checks, beside the directions (update, search)."""

BATCH_INPUTS = Histogram("batch_inputs", _OF_MODEL, "inputs", "Inputs of a batch as it comes from the gateway", COUNTS)
BATCH_TOKENS = Histogram("batch_tokens", _OF_MODEL, "tokens", "Tokens of such a batch, without padding", COUNTS)
RUN_INPUTS = Histogram("run_inputs", _OF_MODEL, "inputs", "Inputs that a model computes in one run", COUNTS)
RUN_TOKENS = Counter("run_tokens", _OF_MODEL, "tokens", "Tokens that a model has computed, without padding")
PADDING_TOKENS = Counter("padding_tokens", _OF_MODEL, "tokens", "Padding that it has computed beside them")
QUEUE_TOKENS = Gauge("queue_tokens", ("model",), "tokens", "Tokens that wait in a replica for their run")
PROVIDER_INFO = Gauge(
    "provider_info", ("model", "provider", "precision"), "1", "1 for the provider and precision that a replica runs on"
)
CPU_FALLBACK = Gauge("cpu_fallback", ("model",), "0 or 1", "Whether a replica has a GPU reserved but runs on the CPU")
LOAD_SECONDS = Gauge("model_load_seconds", ("model",), "seconds", "Time of a replica's last load, warm-up included")
GPU_USED = Gauge("gpu_memory_used_bytes", ("model",), "bytes", "Memory in use on a replica's GPU, whoever uses it")
GPU_TOTAL = Gauge("gpu_memory_total_bytes", ("model",), "bytes", "Memory that a replica's GPU has")
IMAGES = Counter("images", ("source", "result"), "images", "Images by source and by what became of them")


class ReplicaMeasures:
    """The measures of one replica.

    An operation is a direction (update, search) or `CHECK`.
    """

    def __init__(self, model: str = "") -> None:
        self.model = model

    def tokenized(self, seconds: float, tokens: Sequence[int], operation: str) -> None:
        """A batch is ready to be run; `tokens` of each of its inputs."""
        STAGE_SECONDS.observe(seconds, "tokenize", self.model, operation)
        BATCH_INPUTS.observe(len(tokens), self.model, operation)
        BATCH_TOKENS.observe(sum(tokens), self.model, operation)

    def waited(self, seconds: float, operation: str) -> None:
        """The first run with inputs of a batch has begun so long after the batch was ready."""
        STAGE_SECONDS.observe(seconds, "queue", self.model, operation)

    def ran(self, seconds: float, tokens: Sequence[int], computed: int, operation: str) -> None:
        """A run is done; `tokens` of each of its inputs, and how many were `computed`, padding included."""
        real = sum(tokens)
        STAGE_SECONDS.observe(seconds, "run", self.model, operation)
        RUN_INPUTS.observe(len(tokens), self.model, operation)
        RUN_TOKENS.add(real, self.model, operation)
        PADDING_TOKENS.add(computed - real, self.model, operation)

    def loaded(self, seconds: float, provider: str, precision: str, *, gpu_reserved: bool) -> None:
        """The model has been loaded. With a GPU reserved, or a part of one, it should run there."""
        LOAD_SECONDS.set(seconds, self.model)
        PROVIDER_INFO.values.clear()
        PROVIDER_INFO.set(1, self.model, provider, precision)
        CPU_FALLBACK.set(gpu_reserved and provider != "cuda", self.model)

    def gauges(self, queue_tokens: int, gpu_memory: tuple[int, int] | None) -> None:
        """How much waits at the moment, and the memory of its GPU, used and in all, if it has one."""
        QUEUE_TOKENS.set(queue_tokens, self.model)
        if gpu_memory:
            GPU_USED.set(gpu_memory[0], self.model)
            GPU_TOTAL.set(gpu_memory[1], self.model)


@contextmanager
def image(model: str, source: str, stage: str, failed: str, done: str = "") -> Iterator[None]:
    """Measure one stage of loading an image: it ends with the result `failed`, or as the last stage with `done`."""
    started = perf_counter()
    try:
        yield
    except WrongInput:
        IMAGES.add(1, source, failed)
        raise
    STAGE_SECONDS.observe(perf_counter() - started, stage, model, "")
    if done:
        IMAGES.add(1, source, done)
