"""Which GPU is asked for its memory, with a driver that only tells what it was asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from deployments.replica import gpu


class Driver:
    """Two GPUs; the second one is also called GPU-b."""

    NVMLError = type("NVMLError", (Exception,), {})

    def nvmlInit(self) -> None: ...

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index > 1:
            raise self.NVMLError
        return index

    def nvmlDeviceGetHandleByUUID(self, name: str) -> int:
        assert name == "GPU-b"
        return 1

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(used=handle + 1, total=100)


@pytest.mark.parametrize(
    ("visible", "memory"), [("0", (1, 100)), ("1,0", (2, 100)), ("GPU-b", (2, 100)), ("5", None), (None, (1, 100))]
)
def test_the_first_gpu_that_the_process_sees_is_asked(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, memory: tuple[int, int] | None
) -> None:
    monkeypatch.setattr(gpu, "pynvml", Driver())
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu.memory() == memory


def test_without_a_driver_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    monkeypatch.setattr(gpu, "pynvml", driver)

    def fail() -> None:
        raise driver.NVMLError

    monkeypatch.setattr(driver, "nvmlInit", fail)
    assert gpu.memory() is None
