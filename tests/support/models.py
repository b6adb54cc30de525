"""The starter models and one small random model of late interaction, of which no package index has one."""

from __future__ import annotations

import yaml

from deployments.catalogue.catalogue import HOME
from tests.parity.cases import CASES
from tests.support.running import RunningService

COLBERT = next(case for case in CASES if case.card.name == "random/colbert")
NAME = COLBERT.card.name
DIMENSIONS = int(COLBERT.card.dimensions or 0)


def with_late_interaction(running: RunningService) -> RunningService:
    """The service, not started yet, with a catalogue of its own."""
    folder = COLBERT.folder(running.folder / "colbert")
    files = {path.relative_to(folder).as_posix(): {} for path in sorted(folder.rglob("*")) if path.is_file()}
    entry = COLBERT.card.model_dump(mode="json", exclude_defaults=True)
    entry["sources"] = [{"folder": str(folder), "files": files}]
    catalogue = running.folder / "models.yaml"
    content = {"include": [str(HOME / "configs" / "models" / "starter.yaml")], "models": [entry]}
    catalogue.write_text(yaml.safe_dump(content))
    config = yaml.safe_load(running.config.read_text())
    (application,) = config["applications"]
    application["args"] = {"catalogue": str(catalogue)}
    running.config.write_text(yaml.safe_dump(config))
    return running
