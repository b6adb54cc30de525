"""How much a request may ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from deployments.errors import WrongInput
from serve_app.inference.objects import Slot


class Bounds(Protocol):
    """The settings that are checked here."""

    @property
    def objects(self) -> int:
        """Inference objects in a request."""

    @property
    def images(self) -> int:
        """Images among them."""

    @property
    def text_characters(self) -> int:
        """Characters of a text."""


def check(slots: Sequence[Slot], bounds: Bounds) -> None:
    """Make sure that a request is within its bounds, before anything is computed for it.

    Raises:
        WrongInput: names the setting and by how much it is passed.
    """
    if len(slots) > bounds.objects:
        raise _too_many(len(slots), bounds.objects, "inference objects", "objects")
    images, longest = 0, bounds.text_characters
    for slot in slots:
        wanted = slot.wanted
        if wanted.input == "image":
            images += 1
        elif wanted.input == "text" and isinstance(wanted.data, str) and len(wanted.data) > longest:
            raise WrongInput(
                f"{slot.where}.text: has {len(wanted.data)} characters; at most {longest} are allowed (text_characters)"
            )
    if images > bounds.images:
        raise _too_many(images, bounds.images, "images", "images")


def _too_many(count: int, limit: int, what: str, name: str) -> WrongInput:
    return WrongInput(f"the request has {count} {what}; at most {limit} are allowed ({name})")
