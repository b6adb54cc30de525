"""The day as a picture: what was offered, what there was to serve it, and what the callers felt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks.simulation import config, gpu
from benchmarks.simulation.day import PHASES
from benchmarks.simulation.result import MODELS, OK, Result, windows

mpl.use("Agg")
from matplotlib import pyplot as plt

_COLOURS = {config.ALWAYS_THERE: "#1f5fa8", config.FROM_ZERO: "#c8553d"}
_GREY = "#555555"


def draw(result: Result, files: list[Path], title: str) -> None:
    """Write the picture to files, each in the format that its name ends with."""
    settings: Any = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "simulation"}
    with plt.rc_context(settings):
        figure, axes = plt.subplots(5, 1, figsize=(9.5, 11), sharex=True, layout="constrained")
        for panel, ax in zip((_load, _replicas, _nodes, _queue, _latency), axes, strict=True):
            panel(ax, result)
            ax.grid(axis="y", alpha=0.3)
            _phases(ax, result)
        axes[-1].set_xlabel("seconds")
        axes[-1].set_xlim(0, result.day.seconds)
        figure.suptitle(title, fontsize=10)
        for file in files:
            figure.savefig(file, dpi=110, metadata={"Date": None} if file.suffix == ".svg" else None)
        plt.close(figure)


def _phases(ax: Any, result: Result) -> None:
    for phase in PHASES:
        start, end = result.day.bounds(phase.name)
        ax.axvline(start, color=_GREY, linewidth=0.5, alpha=0.5)
        if ax.get_subplotspec().is_first_row():
            ax.text((start + end) / 2, 1.02, phase.name, transform=ax.get_xaxis_transform(), ha="center", color=_GREY)


def _load(ax: Any, result: Result) -> None:
    at = np.arange(0, result.day.seconds, 0.5)
    for model in MODELS:
        offered = [result.load(model, moment) / 1000 for moment in at]
        ax.plot(at, offered, color=_COLOURS[model], label=model)
    ax.set_ylabel("offered load\n(thousand tokens/s)")
    ax.legend(loc="upper left", frameon=False)


def _replicas(ax: Any, result: Result) -> None:
    for model in MODELS:
        name = config.name_of(model)
        _steps(ax, result, {s.at: s.replicas.get(name, 0) for s in result.samples}, color=_COLOURS[model], alpha=0.35)
        _steps(ax, result, {s.at: s.serving.get(name, 0) for s in result.samples}, color=_COLOURS[model])
    at = np.arange(0, result.day.seconds, 0.5)
    ax.plot(at, [result.ideal(moment) / gpu.SHARE for moment in at], ":", color=_GREY, label="ideal, both models")
    ax.set_ylabel("replicas\n(pale: with those\nthat start or stop)")
    ax.legend(loc="upper left", frameon=False)


def _nodes(ax: Any, result: Result) -> None:
    for kind, colour in (("cpu", _GREY), ("gpu", "#2a7f4f")):
        counts = {sample.at: sample.nodes.get(kind, 0) for sample in result.samples}
        _steps(ax, result, counts, color=colour, label=f"{kind.upper()} nodes")
    _steps(
        ax,
        result,
        {s.at: s.serving.get("Ingress", 0) for s in result.samples},
        color="#8a6fb0",
        label="ingress replicas",
    )
    ax.set_ylabel("nodes, ingress")
    ax.legend(loc="upper left", frameon=False)


def _queue(ax: Any, result: Result) -> None:
    at, counts = zip(*result.log.under_way, strict=True)
    ax.plot(at, counts, color=_GREY, label="requests under way")
    failed = [one for one in result.log.sent if one.status != OK]
    ax.plot([one.at for one in failed], [0] * len(failed), "x", color="red", label=f"failed: {len(failed)}")
    ax.set_ylabel("queue and errors")
    ax.legend(loc="upper left", frameon=False)


def _latency(ax: Any, result: Result) -> None:
    for kind in result.kinds:
        at, half, nearly_all = windows(result, kind.name)
        style = "-" if kind.texts == 1 else "--"
        ax.plot(at, nearly_all, style, color=_COLOURS[kind.model], label=f"{kind.name}, p99")
        ax.plot(at, half, style, color=_COLOURS[kind.model], alpha=0.4, label=f"{kind.name}, p50")
    ax.set_yscale("log")
    ax.set_ylabel("latency (s)")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25), frameon=False, ncols=4, fontsize=7)


def _steps(ax: Any, result: Result, values: Mapping[float, float], **style: Any) -> None:
    inside = {at: value for at, value in values.items() if at <= result.day.seconds}
    ax.step(list(inside), list(inside.values()), where="post", **style)
