"""The switches of one ingress replica as they are now: the ledger turns them, every request passes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from serve_app.ledger.switches import ALL_ON, Switches


class Switchboard:
    """What is switched off, and what else the collections are called that are: by an alias they are off, too."""

    def __init__(self, switches: Switches = ALL_ON) -> None:
        self._aliases: Mapping[str, str] = {}
        self.turn(switches)

    @property
    def switches(self) -> Switches:
        """What is off now."""
        return self._switches

    @property
    def aliases(self) -> Mapping[str, str]:
        """Collections by their aliases, as they were last told."""
        return self._aliases

    def turn(self, switches: Switches) -> None:
        """Take on all switches; requests that have passed go on."""
        self._switches = switches
        self.is_anything_off = switches != ALL_ON

    def name(self, aliases: Mapping[str, str]) -> None:
        """Take on all aliases."""
        self._aliases = aliases

    def check(self, collection: str, models: Iterable[str]) -> None:
        """Let pass what is on; `collection` may be an alias.

        Raises:
            SwitchedOff: says what is off.
        """
        self._switches.check((collection, self._aliases.get(collection, collection)), models)
