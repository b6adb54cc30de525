"""The switches."""

from __future__ import annotations

from serve_app.api.management.schema.base import Answered, Operation, Operations, Shape, answered
from serve_app.api.management.schema.errors import AWAY, REFUSED, Error, error, refusal
from serve_app.ledger.switches import SwitchChange


class Settings(Shape):
    """The switches: what `models` and `collections` name is off."""

    inference: bool
    models: dict[str, bool]
    collections: dict[str, bool]


class SettingsAnswer(Answered):
    """The switches."""

    result: Settings


OPERATIONS: Operations = {
    ("get", "/inference/settings"): Operation(
        tag="console",
        summary="The switches",
        description=(
            "Any credential; a credential for single collections sees those alone. Answered while the database is "
            "away, with what was known last."
        ),
        answer=SettingsAnswer,
        means="`models` and `collections` have only what is switched off.",
        example=answered(
            {"inference": True, "models": {"starter/splade-tiny": False}, "collections": {"recipes": False}}, 0.0002
        ),
        refusals=REFUSED,
    ),
    ("put", "/inference/settings"): Operation(
        tag="console",
        summary="Switch inference on or off, for all, a model or a collection",
        description=(
            "Needs the admin key. What the body does not name stays as it is. The change takes effect on all ingress "
            "replicas within two seconds and survives a restart; requests in flight finish. Requests that need what is "
            "off answer 400 (gRPC FAILED_PRECONDITION); those without inference objects go on.\n\n"
            "A collection is off by its aliases too, some seconds later; the gateway asks Qdrant for them with "
            "QDRANT_API_KEY. A Qdrant server that calls `POST /inference` does not say which collection it asks for: "
            "the switches of collections do not apply to it."
        ),
        question=SwitchChange,
        questions={
            "model off": {"models": {"starter/splade-tiny": False}},
            "model on": {"models": {"starter/splade-tiny": True}},
            "all off": {"inference": False},
            "collection off": {"collections": {"recipes": False}},
        },
        answer=SettingsAnswer,
        means="All switches as they are now.",
        example=answered({"inference": True, "models": {"starter/splade-tiny": False}, "collections": {}}, 0.002),
        refusals={
            "403": refusal(
                "Another key, or there is no admin key; the text says which variable to set.",
                Error,
                error(
                    "the settings may be changed with the admin key only, and none is set: "
                    "set QDRANT_INFERENCE_ADMIN_KEY"
                ),
            ),
            **AWAY,
            **REFUSED,
        },
    ),
}
