"""The options of BM42 and miniCOIL, by the names that fastembed has."""

from __future__ import annotations

from pydantic import Field

from deployments.catalogue.records import Options


class Bm42Options(Options):
    """How a document's words are weighed."""

    alpha: float | None = Field(default=None, ge=0, allow_inf_nan=False, description="default: 0.5")


class MiniCoilOptions(Options):
    """How often a word counts in a document, by BM25's formula."""

    k: float | None = Field(default=None, ge=0, allow_inf_nan=False, description="default: 1.2")
    b: float | None = Field(default=None, ge=0, le=1, description="default: 0.75")
    avg_len: float | None = Field(default=None, gt=0, allow_inf_nan=False, description="in words; default: 150")
