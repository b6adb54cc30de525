"""Adds models while the service runs, and takes them away again: one ingress replica works at each addition.

Which one, and how far it is, stands in the ledger: if it dies, another one goes on. There too stands what is served, so
that it survives a restart: what Ray Serve does not have then is deployed again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from typing import NamedTuple, Protocol

from deployments.catalogue.card import ModelCard
from deployments.errors import AlreadyThere, InferenceError, LedgerUnavailable, UnknownModel, WrongInput
from serve_app.cluster.served import ServedModels, application
from serve_app.ledger.additions import Added, Addition, Claimed, Removed, Row, State, Told, Wanted
from serve_app.ledger.ledger import Ledger

_BEAT_S = 2.0
_SILENT_S = 15.0
"""Whoever works at an addition and says nothing for so long is gone."""

_PERIODS, _IDLE_PERIODS = 5, 75
"""Of `tend`, after which Ray Serve is asked what it has, which costs its controller some 50 ms: if there are additions,
and if there are none. After a change it is asked at once."""

_AWAY_S = 3.0

log = logging.getLogger("ray.serve")


class Step(NamedTuple):
    """How far an addition is. `cards` are there from `checking` on."""

    state: State
    detail: str = ""
    done: int = 0
    total: int | None = None
    cards: Sequence[ModelCard] = ()
    reason: str | None = None


class Cluster(Protocol):
    """What the machines of the service do for added models."""

    def onboard(self, addition: Addition) -> AsyncGenerator[Step, None]:
        """Fetch, check and deploy; closing the generator breaks it off. The last step is `ready` or `failed`."""
        ...

    async def present(self) -> Collection[str]:
        """The applications of added models that there are."""
        ...

    async def remove(self, name: str) -> None:
        """End an application."""
        ...

    async def forget(self, cards: Sequence[ModelCard]) -> None:
        """Delete the files of models from the cache."""
        ...


class Additions:
    """One ingress replica's part in it."""

    def __init__(
        self,
        ledger: Ledger,
        served: ServedModels,
        cluster: Cluster,
        *,
        loads_images: bool,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`loads_images`: whether the service has an image loader."""
        self._ledger = ledger
        self._served = served
        self._cluster = cluster
        self._loads_images = loads_images
        self._clock = clock
        self._me = uuid.uuid4().hex
        self._work: dict[str, asyncio.Task[None]] = {}
        self._periods = 0
        ledger.additions.follow(self._changed)

    @property
    def current(self) -> Mapping[str, Addition]:
        """All additions by name, those included that are not ready."""
        return self._ledger.additions.current

    def of_model(self, name: str) -> Addition | None:
        """The addition that a model came with."""
        return next((one for one in self.current.values() if name in one.models), None)

    async def add(self, wanted: Wanted) -> Addition:
        """Begin to add models. One that has failed may be tried again under its name.

        Raises:
            AlreadyThere: a model or an addition has that name.
            WrongInput: such a model cannot be added here.
            LedgerUnavailable: nothing was begun.
        """
        addition = Addition(name=wanted.called, wanted=wanted, cards=(wanted.entry,) if wanted.entry else ())
        self._check(addition, addition.cards)
        failed = self.current.get(addition.name)
        if failed is not None and failed.state == "failed":
            await self._ledger.change_added(Removed(addition.name))
        if not await self._ledger.change_added(Added(self._row(addition))):
            raise AlreadyThere(f"'{addition.name}' was added already, or is being added")
        self._begin(addition)
        return addition

    def _check(self, addition: Addition, cards: Sequence[ModelCard]) -> None:
        """What would be in the way of serving these models."""
        self._served.expect_new(tuple(cards), addition.name)
        if self._served.catalogue.fixed.has(addition.name):
            raise AlreadyThere(f"there is a model '{addition.name}' already")
        for other in self.current.values():
            if other.name != addition.name and application(other) == application(addition):
                raise AlreadyThere(f"'{other.name}' was added already, whose name is too much like this one")
        if any(card.image_size for card in cards) and not self._loads_images:
            raise WrongInput("this service has no image loader, because no model of its catalogue reads images")

    async def remove(self, name: str, *, files: bool) -> Addition:
        """Take away what was added under a name, or with a model of that name; `files`: delete its files, too.

        Raises:
            UnknownModel: nothing of that name was added.
            WrongInput: it is a model that the service was started with.
            LedgerUnavailable: it is still there.
        """
        addition = self.current.get(name) or self.of_model(name)
        if addition is None:
            if self._served.catalogue.fixed.has(name):
                raise WrongInput(f"{name} stands in the catalogue of the Serve config file; switch it off instead")
            there = ", ".join(sorted(self.current)) or "none"
            raise UnknownModel(f"no model '{name[:100]}' was added while the service ran; added: {there}")
        await self._ledger.change_added(Removed(addition.name))
        if work := self._work.get(addition.name):
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        await self._cluster.remove(application(addition))
        if files:
            await self._cluster.forget(addition.cards)
        return addition

    async def tend(self) -> None:
        """Take over what nobody works at, deploy again what is gone, and end what nobody knows of. Called often."""
        self._periods += 1
        now = self._clock()
        for addition in list(self.current.values()):
            if not addition.is_finished and await self._claim(addition, now):
                self._begin(addition)
        every = _PERIODS if self.current else _IDLE_PERIODS
        if self._periods % every == 1 and self._ledger.additions.is_known and not self._ledger.behind:
            await self._compare(now)

    async def _compare(self, now: float) -> None:
        present = await self._cluster.present()
        for addition in list(self.current.values()):
            if addition.state == "ready" and application(addition) not in present and await self._claim(addition, now):
                self._begin(addition)
        known = {application(addition) for addition in self.current.values() if addition.state != "failed"}
        for name in set(present) - known:
            await self._cluster.remove(name)

    async def close(self) -> None:
        """Break off all work; others take it over."""
        for work in self._work.values():
            work.cancel()
        await asyncio.gather(*self._work.values(), return_exceptions=True)

    def _changed(self) -> None:
        self._periods = 0

    async def _claim(self, addition: Addition, now: float) -> bool:
        if addition.name in self._work:
            return False
        claim = Claimed(addition.name, self._me, now, now - _SILENT_S)
        return await self._ledger.change_added(claim)

    def _begin(self, addition: Addition) -> None:
        task = asyncio.get_running_loop().create_task(self._bring(addition))
        self._work[addition.name] = task
        task.add_done_callback(lambda _: self._work.pop(addition.name, None))

    async def _bring(self, addition: Addition) -> None:
        """Work at an addition until it is finished, is taken away, or somebody else has taken it over."""
        try:
            async with aclosing(_with_beats(self._cluster.onboard(addition))) as steps:
                async for step in steps:
                    addition = self._after(addition, step)
                    kept = await self._tell(addition, surely=step is not None and addition.is_finished)
                    if not kept or addition.state == "failed":
                        break
        except Exception as error:  # whatever it is: who has asked for the model must hear of it
            log.exception("adding '%s' failed", addition.name)
            reason = f"the process that looked at the model ended ({type(error).__name__}); it may need more memory"
            await self._tell(self._after(addition, Step("failed", reason=reason)), surely=True)

    def _after(self, addition: Addition, step: Step | None) -> Addition:
        """An addition after a step. What is served already stays so; only why it is not there yet may be told."""
        if step is None:
            return addition
        if addition.state == "ready":
            return addition.model_copy(update={"reason": step.reason})
        try:
            if step.cards:
                self._check(addition, step.cards)
        except InferenceError as error:
            step = Step("failed", reason=error.message)
        cards = tuple(step.cards) or addition.cards
        return addition.model_copy(update={**step._asdict(), "cards": cards})

    async def _tell(self, addition: Addition, *, surely: bool) -> bool:
        """Write how far it is; whether it is still this replica's. `surely`: wait for a database that is away."""
        while True:
            with contextlib.suppress(LedgerUnavailable):
                kept = await self._ledger.change_added(Told(self._row(addition)))
                if not kept and addition.state == "ready" and addition.name not in self.current:
                    await self._cluster.remove(application(addition))  # it was taken away while it was deployed
                return kept
            if not surely:
                return True
            await asyncio.sleep(_AWAY_S)

    def _row(self, addition: Addition) -> Row:
        return addition.row(self._me, self._clock())


async def _with_beats(steps: AsyncGenerator[Step, None]) -> AsyncGenerator[Step | None, None]:
    """The steps; None where there is none for a while."""
    async with aclosing(steps):
        following = asyncio.ensure_future(_next(steps))
        try:
            while True:
                await asyncio.wait([following], timeout=_BEAT_S)
                if not following.done():
                    yield None
                elif step := following.result():
                    following = asyncio.ensure_future(_next(steps))
                    yield step
                else:
                    return
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def _next(steps: AsyncGenerator[Step, None]) -> Step | None:
    """The next step; None if there is none any more."""
    return await anext(steps, None)
