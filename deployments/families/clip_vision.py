"""The image side of CLIP."""

from __future__ import annotations

from pathlib import Path

from deployments.catalogue.card import ModelCard
from deployments.families.vision import Vision, VisionModel, load_vision
from deployments.graphs import clip
from deployments.networks.opening import READY
from deployments.networks.settings import SessionSettings

CLIP = Vision(clip.vision, {}, beside_patches=1)


def load(card: ModelCard, folder: Path, settings: SessionSettings) -> VisionModel:
    """Load a CLIP image model."""
    return load_vision(card, folder, settings, CLIP, READY)
