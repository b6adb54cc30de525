"""The starter models, and small random ones of families of which no package index has weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from deployments.catalogue.catalogue import HOME
from tests.parity.cases import CASES, Case
from tests.support.running import RunningService

COLBERT = next(case for case in CASES if case.card.name == "random/colbert")
RERANKER = next(case for case in CASES if case.card.name == "random/bert-reranker")
NAME = COLBERT.card.name
DIMENSIONS = int(COLBERT.card.dimensions or 0)


def with_random_models(running: RunningService, *cases: Case) -> RunningService:
    """The service, not started yet, with a catalogue of its own."""
    catalogue = running.folder / "models.yaml"
    starter = str(HOME / "configs" / "models" / "starter.yaml")
    catalogue.write_text(
        yaml.safe_dump(
            {"include": [starter], "models": [entry(running.folder / case.card.deployment, case) for case in cases]}
        )
    )
    config = yaml.safe_load(running.config.read_text())
    (application,) = config["applications"]
    application["args"] = {"catalogue": str(catalogue)}
    # What the file does not list reserves a whole core, and two of these leave no room on a machine with two.
    small = {"ray_actor_options": {"num_cpus": 0.1}}
    application["deployments"] += [{"name": case.card.deployment, **small} for case in cases]
    running.config.write_text(yaml.safe_dump(config))
    return running


def entry(place: Path, case: Case) -> dict[str, Any]:
    """A model's entry in a catalogue; its files are written to a folder that is not there yet."""
    folder = case.folder(place)
    files = {path.relative_to(folder).as_posix(): {} for path in sorted(folder.rglob("*")) if path.is_file()}
    card: dict[str, Any] = case.card.model_dump(mode="json", exclude_defaults=True)
    return {**card, "sources": [{"folder": str(folder), "files": files}]}
