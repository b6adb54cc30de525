"""What Ray Serve says of a deployment, in our words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from serve_app.cluster.model_states import ModelState, ModelStates, state

TRACEBACK = """ray::ServeReplica() failed
  File "replica.py", line 1
deployments.errors.ModelFilesError: /models/a: model.safetensors is missing
"""


def said(status: str, message: str = "", **replicas: int) -> Any:
    return SimpleNamespace(status=SimpleNamespace(value=status), message=message, replica_states=replicas)


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [
        (said("HEALTHY", RUNNING=2), ModelState("ready", None, 2, 0)),
        (said("UPSCALING", RUNNING=1, STARTING=1), ModelState("ready", None, 1, 1)),
        (said("UPDATING", STARTING=1), ModelState("loading", None, 0, 1)),
        (said("HEALTHY"), ModelState("scaled to zero")),
        (said("DEPLOY_FAILED", TRACEBACK), ModelState("failed", "/models/a: model.safetensors is missing")),
        (said("UNHEALTHY", "first\nlast line\n", RUNNING=1), ModelState("failed", "last line", 1, 0)),
        (said("DEPLOY_FAILED"), ModelState("failed", "no reason given")),
    ],
)
def test_a_state_in_a_word_with_its_reason_and_replicas(deployment: Any, expected: ModelState) -> None:
    assert state(deployment) == expected


async def test_the_controller_is_asked_once_in_a_while(monkeypatch: Any) -> None:
    states = ModelStates({"m": "M"})
    asked = []

    def read() -> Any:
        asked.append(1)
        return {"m": ModelState("ready", None, 1, 0)}

    monkeypatch.setattr(states, "_read", read)
    assert await states() == {"m": "ready"}
    assert (await states.read())["m"].running == 1
    assert len(asked) == 1
