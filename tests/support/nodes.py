"""What clouds leave of a machine for pods, by the pools of the component `node-pools`."""

from __future__ import annotations

ALLOCATABLE = {
    "cpu": {"cpu": "7900m", "memory": "29Gi"},
    "small": {"cpu": "3900m", "memory": "13Gi"},
    "qdrant": {"cpu": "3900m", "memory": "13Gi"},
    "gpu": {"cpu": "7900m", "memory": "29Gi", "nvidia.com/gpu": "1"},
    "machine": {"cpu": "4950m", "memory": "8Gi"},
}
"""Of 8 cores and 32 GiB (`cpu`, `gpu`), of 4 and 16 (`small`, `qdrant`), and of one with 6 and 9 that runs kind."""
