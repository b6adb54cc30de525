"""What every request for inference passes: switches and quotas before the models, counting after them.

All of it is memory of this process, and all of it happens on the event loop's thread.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import NamedTuple

from typing_extensions import Self

from deployments.contract import Direction
from deployments.errors import InferenceError, Overloaded, QuotaUsedUp
from serve_app.inference.plan import Group
from serve_app.ledger.counts import HOUR_S, Counts, Operation
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


class Metered:
    """One request while the models work for it: a context, at whose end it is counted.

    `tokens` are those that each model has read for it, `seconds` how long a model's part took: of several at once the
    longest.
    """

    def __init__(
        self,
        meter: Meter,
        caller: Caller,
        direction: Direction,
        objects: Mapping[str, int],
        held: AbstractContextManager[dict[str, int]] | None,
    ) -> None:
        """`held` is what is held of the caller's quotas, if it may have any."""
        self.tokens: defaultdict[str, int] = defaultdict(int)
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._meter = meter
        self._caller = caller
        self._direction = direction
        self._objects = objects
        self._held = held

    def took(self, model: str, tokens: int) -> None:
        """Take on tokens that a model has read for it."""
        self.tokens[model] += tokens

    def worked(self, model: str, seconds: float) -> None:
        """Take on how long a model's part took."""
        self.seconds[model] = max(self.seconds[model], seconds)

    def __enter__(self) -> Self:
        self._spent = self._held.__enter__() if self._held else None
        self._began = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = time.perf_counter() - self._began
        if self._held and self._spent is not None:
            self._spent.update(self.tokens)
            self._held.__exit__(kind, error, trace)
        if kind is None:
            self._meter.count(self._caller, self._direction, self._objects, self, seconds)
        else:  # what the models have read until then
            objects = {model: count for model, count in self._objects.items() if self.tokens.get(model)}
            self._meter.count(self._caller, self._direction, objects, self)


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
        self._moments: defaultdict[str, Moment] = defaultdict(Moment)

    def metered(
        self, caller: Caller, direction: Direction, groups: Sequence[Group], objects: Mapping[str, int]
    ) -> Metered:
        """Let a request's inference run, and count it: if it fails, what the models have read for it until then.

        `objects` are those of the groups by model.

        Raises:
            SwitchedOff: something that it needs is off.
            QuotaUsedUp: the tenant has used up what it may use of a model.
        """
        if self._switchboard.is_anything_off:
            self._switchboard.check(caller.collection, objects)
        held = self.quotas.held(caller.tenant, groups) if caller.tenant is not None else None
        return Metered(self, caller, direction, objects, held)

    def count(
        self,
        caller: Caller,
        direction: Direction,
        objects: Mapping[str, int],
        metered: Metered,
        seconds: float | None = None,
    ) -> None:
        """Count a request's inference; `seconds` is how long it took, if it succeeded."""
        if not objects:
            return
        hour, whole = int(self._clock() // HOUR_S), 0 if caller.again else 1
        tenant, operation, moments = caller.tenant or "", caller.operation or direction, self._moments
        all_tokens = 0
        for model, count in objects.items():
            tokens = metered.tokens[model]
            all_tokens += tokens
            self._counts.add((hour, model, tenant, operation), (1, count, tokens, whole))
            moments[model].add(tokens, None if seconds is None else metered.seconds[model] or seconds)
            whole = 0
        moments[WHOLE].add(all_tokens, None if caller.again else seconds)

    def failed(self, error: InferenceError, models: Collection[str]) -> None:
        """Note a request for inference that failed, for the `models` that it is known to need."""
        refused = isinstance(error, (Overloaded, QuotaUsedUp))
        for of in (WHOLE, *models):
            self._moments[of].failed(refused=refused)

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
        moments, self._moments = self._moments, defaultdict(Moment)
        self.last_minute.add(self._clock(), moments)
        return counts
