"""What every request for inference passes: switches and quotas before the models, counting after them.

All of it is memory of this process, and all of it happens on the event loop's thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from deployments.contract import Direction
from deployments.errors import InferenceError, Overloaded, QuotaUsedUp
from serve_app.inference.plan import Group, objects_by_model
from serve_app.ledger.counts import Count, Counts, Key, Operation, hour_of
from serve_app.ledger.live_rates import WHOLE, LastMinute, Moment
from serve_app.ledger.quotas import NO_QUOTAS, Left, Quotas
from serve_app.ledger.switchboard import Switchboard
from serve_app.protocol.messages import NO_KEYS, Keys


class Caller(NamedTuple):
    """For whom inference is done: the tenant's name if it has one, the collection, and what for.

    Without an `operation` it is for what the direction says. `again`: for a request of which a part was counted
    already. `keys` came with the request, for external providers.
    """

    tenant: str | None = None
    collection: str = ""
    operation: Operation | None = None
    again: bool = False
    keys: Keys = NO_KEYS


ANONYMOUS = Caller()


@dataclass
class Metered:
    """One request while the models work for it."""

    tokens: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def took(self, model: str, tokens: int) -> None:
        """Take on tokens that a model has read for it."""
        self.tokens[model] = self.tokens.get(model, 0) + tokens

    def worked(self, model: str, seconds: float) -> None:
        """Take on how long a model's part took; of several parts at once the longest counts."""
        self.seconds[model] = max(self.seconds.get(model, 0.0), seconds)


class Meter:
    """Counts, and refuses what is off or used up."""

    def __init__(
        self,
        quotas: Quotas = NO_QUOTAS,
        switchboard: Switchboard | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`switchboard` is shared with the ledger, which turns it; without one all is on."""
        self._switchboard = switchboard or Switchboard()
        self.quotas = quotas
        self.last_minute = LastMinute()
        self._clock = clock
        self._counts = Counts()
        self._moments: dict[str, Moment] = {}

    @contextmanager
    def metered(self, caller: Caller, direction: Direction, groups: Sequence[Group]) -> Iterator[Metered]:
        """Let a request's inference run, and count it: if it fails, what the models have read for it until then.

        Raises:
            SwitchedOff: something that it needs is off.
            QuotaUsedUp: the tenant has used up what it may use of a model.
        """
        objects = objects_by_model(groups)
        self._switchboard.check(caller.collection, objects)
        with self.quotas.held(caller.tenant, groups) as spent:
            metered = Metered()
            began = time.perf_counter()
            try:
                yield metered
            except BaseException:
                spent.update(metered.tokens)
                self._count(caller, direction, {m: n for m, n in objects.items() if metered.tokens.get(m)}, metered)
                raise
            seconds = time.perf_counter() - began
            spent.update(metered.tokens)
        self._count(caller, direction, objects, metered, seconds)

    def _count(
        self,
        caller: Caller,
        direction: Direction,
        objects: Mapping[str, int],
        metered: Metered,
        seconds: float | None = None,
    ) -> None:
        """`seconds` is how long the request took, if it succeeded."""
        if not objects:
            return
        hour, whole = hour_of(self._clock()), 0 if caller.again else 1
        for model, count in objects.items():
            tokens = metered.tokens.get(model, 0)
            key = Key(hour, model, caller.tenant or "", caller.operation or direction)
            self._counts.add(key, Count(1, count, tokens, whole))
            self._moment(model).add(tokens, None if seconds is None else metered.seconds.get(model, seconds))
            whole = 0
        self._moment(WHOLE).add(sum(metered.tokens.values()), None if caller.again else seconds)

    def failed(self, error: InferenceError, models: Collection[str]) -> None:
        """Note a request for inference that failed, for the `models` that it is known to need."""
        refused = isinstance(error, (Overloaded, QuotaUsedUp))
        for of in (WHOLE, *models):
            self._moment(of).failed(refused=refused)

    def _moment(self, of: str) -> Moment:
        moment = self._moments.get(of)
        if moment is None:
            moment = self._moments[of] = Moment()
        return moment

    def check(self, caller: Caller, models: Iterable[str]) -> None:
        """Refuse what `metered` would refuse, before other work is done for it.

        Raises:
            SwitchedOff, QuotaUsedUp: as there.
        """
        self._switchboard.check(caller.collection, models)
        self.quotas.check(caller.tenant, models)

    def left(self, caller: Caller, models: Mapping[str, int]) -> Left | None:
        """What is left of the caller's tightest quota on these models, if it has one."""
        return self.quotas.left(caller.tenant, models)

    def take(self) -> Counts:
        """What was counted since the last time."""
        counts, self._counts = self._counts, Counts()
        moments, self._moments = self._moments, {}
        self.last_minute.add(self._clock(), moments)
        return counts
