"""How a model runs: settings of its deployment. Free of onnxruntime, for those that only check a configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deployments.catalogue.records import Record


class SessionSettings(Record):
    """How a model runs: where, in which precision, and on how many threads (0: one a core).

    `streams` is how many chunks run at the same time; they share the threads. Threads of one chunk wait for each
    other many times in each run, which costs most if something else runs on the same cores. A run that has the replica
    to itself takes all threads, by a second session, if the model's files have `wide_run_limit` bytes at most: it takes
    the memory of the weights a second time. 0: none has. There is none on a GPU.

    `auto` is the fastest provider of the installed onnxruntime, and the fastest precision there that keeps the cosine
    to float32 above 0.9999, by what was measured for the model's family. `gpu_mem_limit` bounds what onnxruntime's own
    pools take of a GPU's memory, in bytes. `rows` is how texts share the rows of a graph that was built here; `auto` is
    what suits the provider and the family. `cuda_graphs` has runs of one ragged text captured and replayed, which
    takes the memory of the weights a second time.
    """

    provider: Literal["auto", "cpu", "openvino", "cuda"] = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    threads: int = Field(default=0, ge=0)
    streams: int = Field(default=2, ge=1)
    rows: Literal["auto", "padded", "packed", "ragged"] = "auto"
    cuda_graphs: bool = True
    gpu_mem_limit: int | None = Field(default=None, gt=0)
    wide_run_limit: int = Field(default=160 << 20, ge=0)
