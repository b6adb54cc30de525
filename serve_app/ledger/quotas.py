"""Quotas: how many tokens a tenant may use of each model in a minute and in a month (UTC).

A request is let in while anything is left, and pays when it is done; while it runs, an estimate is held for it. What
other ingress replicas have counted is known a second later (minute) or six (month): so a quota may be passed by what
they let in meanwhile, and by the last request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from pydantic import Field, model_validator

from deployments.catalogue.catalogue import Catalogue
from deployments.catalogue.records import Record
from deployments.errors import ConfigError, QuotaUsedUp
from serve_app.inference.plan import Group
from serve_app.inference.token_estimates import estimated_tokens

ANY_MODEL = "*"
_MINUTE_S = 60

Spender = tuple[str, str]
"""A tenant and a model."""


class Quota(Record):
    """What may be used of a model; what is not given is not limited."""

    tokens_per_minute: int | None = Field(default=None, gt=0)
    tokens_per_month: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _limits_something(self) -> Quota:
        if not (self.tokens_per_minute or self.tokens_per_month):
            raise ValueError("expected tokens_per_minute, tokens_per_month, or both")
        return self


@dataclass(frozen=True)
class Left:
    """What is left of a quota: `tokens` of `limit`, until it is full again in `reset_s` seconds."""

    limit: int
    tokens: int
    reset_s: float
    window: str


@dataclass
class Spending:
    """What one tenant has spent on one model, in tokens, and what is `held` for requests that are not done yet.

    What is held counts in every minute and month in which it is; what a request took, in those in which it was done.
    """

    held: int = 0
    own: int = 0
    flushed: int = 0
    own_minute: int = 0
    others_minute: int = 0
    minute: int = 0
    month_base: int = 0
    month_flushed: int = 0
    month: int = 0

    def roll(self, minute: int, month: int) -> None:
        """Start a new minute or month where one has begun."""
        if minute != self.minute:
            self.minute, self.own_minute, self.others_minute = minute, 0, 0
        if month != self.month:
            self.month, self.month_base, self.month_flushed = month, 0, self.own

    def add(self, tokens: int) -> None:
        """Count tokens that were spent."""
        self.own += tokens
        self.own_minute += tokens


class Quotas:
    """The quotas of all tenants, and what was spent of them."""

    def __init__(
        self, quotas: Mapping[str, Mapping[str, Quota]] | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        """`quotas`: by tenant and the catalogue's name of the model, or `*` for each model that is not named."""
        self._quotas = quotas or {}
        self._clock = clock
        self._month, self._month_ends = 0, 0.0
        self._spendings: dict[Spender, Spending] = {}

    @property
    def tenants(self) -> frozenset[str]:
        """The tenants that have quotas."""
        return frozenset(self._quotas)

    def held(self, tenant: str | None, groups: Sequence[Group]) -> AbstractContextManager[dict[str, int]]:
        """Hold an estimate for a request; what it took in the end, by model, goes into what this yields.

        Raises:
            QuotaUsedUp: nothing is left of a quota; says when there will be.
        """
        if tenant is None or tenant not in self._quotas:
            return nullcontext({})
        return self._held(tenant, groups)

    @contextmanager
    def _held(self, tenant: str, groups: Sequence[Group]) -> Iterator[dict[str, int]]:
        estimates = estimated_tokens(groups)
        self.check(tenant, estimates)
        for model, tokens in estimates.items():
            self._spending(tenant, model).held += tokens
        spent: dict[str, int] = {}
        try:
            yield spent
        finally:
            for model, tokens in estimates.items():
                spending = self._spending(tenant, model)
                spending.held -= tokens
                spending.add(spent.get(model, 0))

    def check(self, tenant: str | None, models: Iterable[str]) -> None:
        """Let pass who has something left of all its quotas on these models.

        Raises:
            QuotaUsedUp: nothing is left of one; says when there will be.
        """
        if tenant is None or tenant not in self._quotas:
            return
        for model in models:
            for left in self._lefts(tenant, model):
                if not left.tokens:
                    raise QuotaUsedUp(
                        f"the quota of {left.limit} tokens a {left.window} for {model} is used up",
                        left.reset_s,
                        left.limit,
                    )

    def left(self, tenant: str | None, models: Iterable[str]) -> Left | None:
        """What is left of the tightest quota on these models; None if there is no quota."""
        if tenant is None or tenant not in self._quotas:
            return None
        lefts = [left for model in models for left in self._lefts(tenant, model)]
        return min(lefts, key=lambda left: left.tokens / left.limit, default=None)

    def fullest(self) -> dict[tuple[str, str], float]:
        """The greatest share that any tenant has used of its quota, by model and window."""
        shares: dict[tuple[str, str], float] = {}
        for tenant, model in list(self._spendings):
            for left in self._lefts(tenant, model):
                place = model, left.window
                shares[place] = max(shares.get(place, 0.0), 1 - left.tokens / left.limit)
        return shares

    def _lefts(self, tenant: str, model: str) -> Iterator[Left]:
        quota = self._quotas[tenant].get(model) or self._quotas[tenant].get(ANY_MODEL)
        if quota is None:
            return
        spending, now = self._spending(tenant, model), self._clock()
        if quota.tokens_per_minute:
            spent = spending.own_minute + spending.held + spending.others_minute
            rest = _MINUTE_S - now % _MINUTE_S
            yield Left(quota.tokens_per_minute, max(0, quota.tokens_per_minute - spent), rest, "minute")
        if quota.tokens_per_month:
            spent = spending.month_base + spending.own - spending.month_flushed + spending.held
            yield Left(quota.tokens_per_month, max(0, quota.tokens_per_month - spent), self._month_ends - now, "month")

    def _spending(self, tenant: str, model: str) -> Spending:
        spending = self._spendings.get((tenant, model))
        if spending is None:
            spending = self._spendings[tenant, model] = Spending()
        now = self._clock()
        if now >= self._month_ends:
            self._month, self._month_ends = month_of(now), now + until_next_month(now)
        spending.roll(int(now // _MINUTE_S), self._month)
        return spending

    def snapshot(self) -> dict[str, Any]:
        """What the other replicas have to know: the minute, and what was spent in it."""
        minute = int(self._clock() // _MINUTE_S)
        spent = [(who, s.held + (s.own_minute if s.minute == minute else 0)) for who, s in self._spendings.items()]
        return {"minute": minute, "spent": [[*who, tokens] for who, tokens in spent if tokens]}

    def merge(self, others: Iterable[Mapping[str, Any]]) -> None:
        """Take on the snapshots of all other replicas; while quotas change, those may have other tenants."""
        minute = int(self._clock() // _MINUTE_S)
        sums: dict[Spender, int] = {}
        for snapshot in others:
            for tenant, model, tokens in snapshot["spent"] if snapshot["minute"] == minute else ():
                if tenant in self._quotas:
                    sums[tenant, model] = sums.get((tenant, model), 0) + tokens
        for who in {*sums, *self._spendings}:
            self._spending(*who).others_minute = sums.get(who, 0)

    def flushed(self, spent: Iterable[tuple[Spender, int]]) -> None:
        """Note what of our own stands in the database now."""
        for (tenant, model), tokens in spent:
            if tenant in self._quotas:
                self._spending(tenant, model).flushed += tokens

    def learn_month(self, month: int, sums: Mapping[Spender, int]) -> None:
        """Take on what all replicas have spent in a month, by the database, ours included as far as it was flushed."""
        for who in {*sums, *self._spendings}:
            spending = self._spending(*who)
            if spending.month == month:
                spending.month_base, spending.month_flushed = sums.get(who, 0), spending.flushed


NO_QUOTAS = Quotas()


def month_of(seconds: float) -> int:
    """The first hour of the month of a time, in hours since 1970."""
    return int(_first(_time(seconds)).timestamp() // 3600)


def until_next_month(seconds: float) -> float:
    """How many seconds are left of the month of a time."""
    following = _first(_first(_time(seconds)) + timedelta(days=32))
    return following.timestamp() - seconds


def _first(time_in_month: datetime) -> datetime:
    return time_in_month.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def by_catalogue(quotas: Mapping[str, Mapping[str, Quota]], catalogue: Catalogue) -> dict[str, dict[str, Quota]]:
    """The quotas with the catalogue's names of models.

    Raises:
        ConfigError: a quota is for a model that is not served.
    """
    known = {name.lower(): card.account for card in catalogue for name in (card.name, *card.aliases)}
    known[ANY_MODEL] = ANY_MODEL
    for tenant, models in quotas.items():
        for model in models:
            if model.lower() not in known:
                raise ConfigError(f"tenants: '{tenant}': quotas: no model '{model}' is served")
    return {tenant: {known[m.lower()]: quota for m, quota in models.items()} for tenant, models in quotas.items()}
