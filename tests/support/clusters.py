"""The machines of a service that adds models, without any: what they do is told by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass, field

from deployments.catalogue.card import ModelCard
from serve_app.cluster.additions import Cluster, Step
from serve_app.cluster.served import application
from serve_app.ledger.additions import Addition


@dataclass
class FakeCluster(Cluster):
    """Goes through `steps`, or what is wanted is ready at once; before the last one it waits until it `may_end`."""

    steps: Sequence[Step] = ()
    apps: set[str] = field(default_factory=set)
    begun: list[str] = field(default_factory=list)
    broken_off: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.may_end.set()

    async def onboard(self, addition: Addition) -> AsyncGenerator[Step, None]:
        self.begun.append(addition.name)
        *before, last = self.steps or [Step("ready", cards=addition.cards)]
        try:
            for step in before:
                yield step
            await self.may_end.wait()
        except (asyncio.CancelledError, GeneratorExit):
            self.broken_off.append(addition.name)
            raise
        if self.error:
            raise self.error
        if last.state == "ready":
            self.apps.add(application(addition))
        yield last

    async def present(self) -> Collection[str]:
        return frozenset(self.apps)

    async def remove(self, name: str) -> None:
        self.apps.discard(name)

    async def forget(self, cards: Sequence[ModelCard]) -> None:
        self.forgotten += [card.name for card in cards]
