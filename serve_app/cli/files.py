"""The files that the commands read and write: those that come with the project, and the user's own."""

from __future__ import annotations

import os
from pathlib import Path

from deployments.catalogue.catalogue import HOME

LOCAL = HOME / "configs" / "serve-local.yaml"
STARTER = HOME / "configs" / "models" / "starter.yaml"


def existing(path: Path) -> Path:
    """A file that a command names: in the working directory, or else one that comes with the project."""
    shipped = HOME / path
    return path if path.exists() or not shipped.exists() else shipped


def own_catalogue() -> Path:
    """The user's own model catalogue, in `QDRANT_INFERENCE_CONFIG`, or `qdrant-inference` in the user's configuration.

    That is `XDG_CONFIG_HOME`, or `~/.config`.
    """
    users = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config")
    folder = os.environ.get("QDRANT_INFERENCE_CONFIG") or users / "qdrant-inference"
    return Path(folder).expanduser() / "own.yaml"
