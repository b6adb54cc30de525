"""What Ray Serve says of a deployment, in our words."""

from __future__ import annotations

from typing import Any

import pytest

from serve_app.cluster.model_states import ModelState, ModelStates, state, states
from serve_app.cluster.served import Place

TRACEBACK = """ray::ServeReplica() failed
  File "replica.py", line 1
deployments.errors.ModelFilesError: /models/a: model.safetensors is missing
"""


def said(status: str, message: str = "", **replicas: int) -> Any:
    running = [{"state": state} for state, count in replicas.items() for _ in range(count)]
    return {"status": status, "message": message, "replicas": running}


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
    asking = ModelStates({"m": Place(None, "M")})
    asked = []

    def read() -> Any:
        asked.append(1)
        return {"m": ModelState("ready", None, 1, 0)}

    monkeypatch.setattr(asking, "_read", read)
    assert await asking() == {"m": "ready"}
    assert (await asking.read())["m"].running == 1
    assert len(asked) == 1


def test_an_added_model_is_looked_for_in_its_own_application() -> None:
    places = {"m": Place(None, "M"), "new": Place("added--new", "M"), "gone": Place("added--gone", "M")}
    there = {"main": {"deployments": {"M": said("HEALTHY", RUNNING=1)}},
             "added--new": {"deployments": {"M": said("HEALTHY")}}}  # fmt: skip

    assert states(places, there, "main") == {"m": ModelState("ready", None, 1, 0), "new": ModelState("scaled to zero")}
