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
    _at_most(len(slots), bounds.objects, "inference objects", "objects")
    _at_most(sum(slot.wanted.input == "image" for slot in slots), bounds.images, "images", "images")
    for slot in slots:
        data = slot.wanted.data
        if slot.wanted.input == "text" and isinstance(data, str) and len(data) > bounds.text_characters:
            raise WrongInput(
                f"{slot.where}.text: has {len(data)} characters; at most {bounds.text_characters} are allowed "
                "(text_characters)"
            )


def _at_most(count: int, limit: int, what: str, name: str) -> None:
    if count > limit:
        raise WrongInput(f"the request has {count} {what}; at most {limit} are allowed ({name})")
