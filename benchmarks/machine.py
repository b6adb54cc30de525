"""What a benchmark ran on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def describe() -> str:
    """One line: processor, cores, system, and the versions that matter."""
    found = [f"{package} {installed}" for package in _PACKAGES if (installed := _version(package))]
    cores = len(os.sched_getaffinity(0))
    return f"{_processor()}, {cores} cores, {platform.system()}, Python {platform.python_version()}, {', '.join(found)}"


_PACKAGES = ("ray", "onnxruntime", "onnxruntime-openvino", "onnxruntime-gpu", "qdrant-client")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
