"""What usage costs: tokens beyond the free allowance of a model and month, times the model's price."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from serve_app.ledger.quotas import month_of

_MILLION = 1_000_000
_HOUR_S = 3600


def rates(
    rows: Iterable[Mapping[str, Any]], prices: Mapping[str, float], free_tokens: int
) -> dict[tuple[str, int], float]:
    """What a token costs, by model and hour.

    The rows have `model`, `hour` and `tokens`; they are those of all tenants, from the beginning of a month on. In the
    hour in which the allowance runs out, every token costs the same share of the price.
    """
    hours: dict[tuple[str, int], int] = {}
    for row in rows:
        key = row["model"], row["hour"]
        hours[key] = hours.get(key, 0) + row["tokens"]
    used: dict[tuple[str, int], int] = {}
    costs: dict[tuple[str, int], float] = {}
    for (model, hour), tokens in sorted(hours.items()):
        month = model, month_of(hour * _HOUR_S)
        before = used.get(month, 0)
        used[month] = before + tokens
        charged = max(0, used[month] - max(before, free_tokens))
        price = prices.get(model, 0.0) / _MILLION
        costs[model, hour] = price * charged / tokens if tokens else 0.0
    return costs
