"""Who need not be asked just now: a provider that has failed again and again, or that said when to come back.

Told apart by address and key: one caller's limit is not another's. Keys are known here by a digest alone, which is
another one in each process.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from deployments.errors import ModelUnavailable, Overloaded
from deployments.providers.settings import ProvidersSettings

_ROOM = 4096
"""How many addresses and keys are remembered, the latest."""

Who = tuple[str, bytes]

_SALT = secrets.token_bytes(16)


def who(address: str, secret: str | None) -> Who:
    """Whom a call is for."""
    return address, hashlib.blake2b((secret or "").encode(), key=_SALT, digest_size=16).digest()


@dataclass
class _Circuit:
    failures: int = 0
    closed_until: float = 0.0
    limited_until: float = 0.0


class Circuits:
    """The circuits of all addresses and keys."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._circuits: OrderedDict[Who, _Circuit] = OrderedDict()

    def __len__(self) -> int:
        return len(self._circuits)

    def check(self, who: Who, name: str, settings: ProvidersSettings) -> None:
        """Let a call pass, if it makes sense. After a pause one call tries; the others wait for what becomes of it.

        Raises:
            ModelUnavailable, Overloaded: it makes none; says when it will.
        """
        circuit = self._circuits.get(who)
        if circuit is None:
            return
        now = self._clock()
        if circuit.limited_until > now:
            raise Overloaded(f"the provider of {name} takes no more from this key yet", circuit.limited_until - now)
        if circuit.failures < settings.failures:
            return
        if circuit.closed_until > now:
            raise ModelUnavailable(
                f"the provider of {name} failed {circuit.failures} times in a row; it is asked again later",
                circuit.closed_until - now,
            )
        circuit.closed_until = now + settings.pause_s

    def failed(self, who: Who, settings: ProvidersSettings) -> None:
        """The provider did not answer, or with an error of its own."""
        circuit = self._of(who)
        circuit.failures += 1
        if circuit.failures >= settings.failures:
            circuit.closed_until = self._clock() + settings.pause_s

    def limited(self, who: Who, seconds: float) -> None:
        """The provider said when to come back."""
        self._of(who).limited_until = self._clock() + seconds

    def answered(self, who: Who) -> None:
        """The provider answered."""
        self._circuits.pop(who, None)

    def _of(self, who: Who) -> _Circuit:
        circuit = self._circuits.setdefault(who, _Circuit())
        self._circuits.move_to_end(who)
        while len(self._circuits) > _ROOM:
            self._circuits.popitem(last=False)
        return circuit
