from __future__ import annotations

import numpy as np

from deployments.networks.padded import run_ready

IDS = np.array([[3, 1, 4, 1, 5], [9, 2, 6, 0, 0]], np.int32)
LENGTHS = np.array([5, 3], np.int32)


def test_a_ready_file_gets_what_exporters_ask_for() -> None:
    """What the file does not read is left out by the session."""
    seen: dict[str, np.ndarray] = {}

    class Session:
        def run(self, inputs: dict[str, np.ndarray], output: str | None) -> list[np.ndarray]:
            assert output == "hidden"
            seen.update(inputs)
            return [np.ones((2, 5, 3), np.float16), np.zeros(1)]

    output = run_ready(Session(), IDS, LENGTHS, np.zeros_like(IDS), output="hidden")  # type: ignore[arg-type]
    assert seen["position_ids"].tolist() == [[0, 1, 2, 3, 4]] * 2
    assert seen["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    assert not seen["token_type_ids"].any()
    assert (output.shape, output.dtype) == ((2, 5, 3), np.float32)
