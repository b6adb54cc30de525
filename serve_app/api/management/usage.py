"""What was used, and what it costs."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qs

from deployments.catalogue.catalogue import Catalogue
from deployments.errors import MalformedRequest
from serve_app.ledger.costs import rates
from serve_app.ledger.counts import hour_of
from serve_app.ledger.ledger import Ledger
from serve_app.ledger.quotas import month_of

_HOUR_S = 3600
_FIGURES = ("tokens", "objects", "requests")
_COLUMNS = ("tenant", "operation")

_OF_ALLOWANCE = {"allowance_month": "month", "allowance_tokens": "tokens", "allowance_left": "left"}
"""Columns of the CSV, and what they are in an allowance."""

Row = Mapping[str, Any]
Costs = Mapping[tuple[str, int], float]
"""What a token costs, by model and hour; see `rates`."""

_GROUPS: Mapping[str, Callable[[Row], Any]] = {
    "model": lambda row: row["model"],
    "tenant": lambda row: row["tenant"] or None,
    "operation": lambda row: row["operation"],
    "day": lambda row: _name(row["hour"])[:10],
    "hour": lambda row: _name(row["hour"]),
}


@dataclass(frozen=True)
class Question:
    """Which hours (since 1970), from `first` to before `end`, and how to group."""

    first: int
    end: int
    group_by: Sequence[str]


def question(query: str) -> Question:
    """What a query string asks for.

    Raises:
        MalformedRequest: names the parameter and what was expected.
    """
    asked = {name: values[-1] for name, values in parse_qs(query).items()}
    if unknown := asked.keys() - {"from", "to", "group_by"}:
        raise MalformedRequest(f"unknown parameter '{min(unknown)[:40]}'; allowed: from, to, group_by")
    groups = tuple(dict.fromkeys(asked.get("group_by", "model").split(",")))
    if not set(groups) <= _GROUPS.keys():
        raise MalformedRequest(f"group_by: expected one or several of {', '.join(_GROUPS)}, with commas between them")
    now = time.time()
    first = _hour(asked["from"], "from") if "from" in asked else month_of(now)
    end = _hour(asked["to"], "to") if "to" in asked else hour_of(now) + 1
    if first >= end:
        raise MalformedRequest("from: expected a time before that of to, or before now if to is not given")
    return Question(first, end, groups)


def _hour(text: str, where: str) -> int:
    day, _, hour = text.partition("T")
    try:
        time_of_day = datetime.strptime(f"{day}T{hour or '00'}", "%Y-%m-%dT%H").replace(tzinfo=timezone.utc)
    except ValueError as error:
        expected = f"{where}: expected a day or an hour, such as 2026-11-23 or 2026-11-23T06 (UTC)"
        raise MalformedRequest(expected) from error
    return max(0, hour_of(time_of_day.timestamp()))


def _name(hour: int) -> str:
    return datetime.fromtimestamp(hour * _HOUR_S, timezone.utc).strftime("%Y-%m-%dT%H")


async def answer(
    asked: Question, ledger: Ledger, catalogue: Catalogue, free_tokens: int, tenant: str | None
) -> dict[str, Any]:
    """The usage that was asked for; a tenant's own, or everybody's if there is no tenant.

    Raises:
        LedgerUnavailable: the database is away.
    """
    prices = {card.name: card.price_per_million_tokens for card in catalogue}
    # The allowance is everybody's, and of whole months.
    everybodys = await ledger.usage(month_of(asked.first * _HOUR_S), asked.end, None, ())
    costs = rates(everybodys, prices, free_tokens)
    columns = [name for name in _COLUMNS if name in asked.group_by]
    rows = await ledger.usage(asked.first, asked.end, tenant, columns)
    last_month = month_of((asked.end - 1) * _HOUR_S)
    callers = await ledger.usage(last_month, asked.end, tenant, ()) if tenant is not None else everybodys
    paid = _costs_by_model(callers, costs, last_month)
    return {
        "from": _name(asked.first),
        "to": _name(asked.end),
        "group_by": asked.group_by,
        "rows": _grouped(rows, asked.group_by, costs),
        "total": _sum(rows, costs, "whole_requests"),
        "allowances": _allowances(everybodys, prices, free_tokens, last_month, paid),
    }


def _grouped(rows: Iterable[Row], groups: Sequence[str], costs: Costs) -> list[dict[str, Any]]:
    together: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        together.setdefault(tuple(_GROUPS[name](row) for name in groups), []).append(row)
    ordered = sorted(together.items(), key=lambda item: [value or "" for value in item[0]])
    requests = "requests" if "model" in groups else "whole_requests"
    return [{**dict(zip(groups, values, strict=True)), **_sum(part, costs, requests)} for values, part in ordered]


def _sum(rows: Iterable[Row], costs: Costs, requests: str) -> dict[str, Any]:
    """`requests`: the figure of the rows that counts requests, which is another one for single models than for all."""
    sums: dict[str, Any] = dict.fromkeys(_FIGURES, 0)
    cost = 0.0
    for row in rows:
        for name in _FIGURES:
            sums[name] += row[requests if name == "requests" else name]
        cost += _cost(row, costs)
    return {**sums, "cost": round(cost, 6)}


def _cost(row: Row, costs: Costs) -> float:
    return float(row["tokens"] * costs.get((row["model"], row["hour"]), 0.0))  # the row may be newer than the rates


def _costs_by_model(rows: Iterable[Row], costs: Costs, month: int) -> Mapping[str, float]:
    """What was paid for each model since the month that begins with this hour."""
    paid: dict[str, float] = {}
    for row in rows:
        if row["hour"] >= month:
            paid[row["model"]] = paid.get(row["model"], 0.0) + _cost(row, costs)
    return paid


def _allowances(
    everybodys: Iterable[Row], prices: Mapping[str, float], free_tokens: int, month: int, paid: Mapping[str, float]
) -> list[dict[str, Any]]:
    """What is left, for everybody together, in the month that begins with this hour; and what was `paid` by model."""
    used = dict.fromkeys(prices, 0)
    for row in everybodys:
        if row["hour"] >= month and row["model"] in used:
            used[row["model"]] += row["tokens"]
    return [
        {
            "model": model,
            "month": _name(month)[:7],
            "tokens": free_tokens,
            "used": tokens,
            "left": max(0, free_tokens - tokens),
            "price_per_million_tokens": prices[model],
            "cost": round(paid.get(model, 0.0), 6),
        }
        for model, tokens in used.items()
    ]


def as_csv(answer: Mapping[str, Any]) -> bytes:
    """The rows of an answer as CSV (RFC 4180); those of a model with what is left of its allowance."""
    text = io.StringIO()
    allowances = {one["model"]: one for one in answer["allowances"]} if "model" in answer["group_by"] else {}
    of_allowance = _OF_ALLOWANCE if allowances else {}
    table = csv.DictWriter(text, [*answer["group_by"], *_FIGURES, "cost", *of_allowance])
    table.writeheader()
    for row in answer["rows"]:
        allowance = allowances.get(row.get("model"), {})
        table.writerow({**row, **{column: allowance.get(name) for column, name in of_allowance.items()}})
    return text.getvalue().encode()
