"""What is switched off: inference as a whole, models, collections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import ConfigDict, Field, StrictBool

from deployments.catalogue.records import Record
from deployments.errors import SwitchedOff


class SwitchChange(Record):
    """Which switches to set; what is not named stays as it is."""

    model_config = ConfigDict(hide_input_in_errors=True)

    inference: StrictBool | None = None
    models: Mapping[str, StrictBool] = Field(default={}, max_length=1000)
    collections: Mapping[str, StrictBool] = Field(default={}, max_length=1000)


class Switches(Record):
    """What is off, by the catalogue's names of models and the names of collections."""

    all_off: bool = False
    models: frozenset[str] = frozenset()
    collections: frozenset[str] = frozenset()

    def check(self, collections: Iterable[str], models: Iterable[str]) -> None:
        """Let pass what is on; `collections` are the names of one.

        Raises:
            SwitchedOff: says what is off.
        """
        if self.all_off:
            raise SwitchedOff("inference is switched off")
        for name in collections:
            if name in self.collections:
                raise SwitchedOff(f"inference is switched off for the collection '{name}'")
        for model in models:
            if model in self.models:
                raise SwitchedOff(f"inference is switched off for the model '{model}'")


ALL_ON = Switches()
