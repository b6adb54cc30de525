"""The memory of this process's GPU, as NVIDIA's driver tells it."""

from __future__ import annotations

import os
from typing import Any

from ray._private.thirdparty import pynvml


def memory() -> tuple[int, int] | None:
    """Bytes in use and bytes in all of the first GPU that this process sees; None if there is none."""
    nvml: Any = pynvml
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    try:
        nvml.nvmlInit()
        by_name = nvml.nvmlDeviceGetHandleByUUID
        handle = nvml.nvmlDeviceGetHandleByIndex(int(visible)) if visible.isdecimal() else by_name(visible)
        told = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError:
        return None
    return int(told.used), int(told.total)
