"""What was used, and what it costs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from serve_app.api.management.schema.base import Answered, Operation, Operations, Parameter, Shape, answered
from serve_app.api.management.schema.errors import AWAY, REFUSED
from serve_app.ledger import counts


class UsageSum(Shape):
    """What was used, added up."""

    tokens: int
    objects: int
    requests: int
    """in rows by model those that used the model; else each once"""
    cost: float


class UsageRow(UsageSum):
    """The usage of one group: of what it is grouped by, the row has the names."""

    model: str = Field(default_factory=str)
    tenant: str | None = Field(default_factory=str)
    """null: calls without a name"""
    operation: counts.Operation = Field(default_factory=lambda: "search")
    day: str = Field(default_factory=str)
    hour: str = Field(default_factory=str)


class Allowance(Shape):
    """What is left of a model's free tokens of a month."""

    model: str
    month: str
    tokens: int
    used: int
    left: int
    price_per_million_tokens: float
    cost: float


class Usage(Shape):
    """The usage of some hours."""

    begin: str = Field(alias="from")
    end: str = Field(alias="to")
    group_by: list[Literal["model", "tenant", "operation", "day", "hour"]]
    rows: list[UsageRow]
    total: UsageSum
    allowances: list[Allowance]
    """Each served model in the last of the months asked for. The allowance, and what is used and left of it, is
    everybody's; the cost is the caller's: a tenant's own, or everybody's."""


class UsageAnswer(Answered):
    """The usage of some hours."""

    result: Usage


_PARAMETERS = (
    Parameter(
        "from",
        "query",
        "A day or an hour. The default is the first day of the month.",
        {"type": "string", "examples": ["2026-11-01", "2026-11-23T06"]},
    ),
    Parameter(
        "to",
        "query",
        "The first day or hour that does not count any more; after `from`. The default is now.",
        {"type": "string", "examples": ["2026-12-01"]},
    ),
    Parameter(
        "group_by",
        "query",
        "One or several with commas between them; `model,day` serves sparklines.",
        {
            "type": "string",
            "default": "model",
            "examples": ["model", "tenant", "day", "model,day", "model,tenant,hour", "operation"],
        },
    ),
)

_MODEL = "sentence-transformers/all-minilm-l6-v2"
_EXAMPLE = answered(
    {
        "from": "2026-11-01T00",
        "to": "2026-11-23T07",
        "group_by": ["model", "day"],
        "rows": [
            {
                "model": _MODEL,
                "day": "2026-11-22",
                "tokens": 4_900_000,
                "objects": 98_000,
                "requests": 1960,
                "cost": 0.0,
            },
            {"model": _MODEL, "day": "2026-11-23", "tokens": 300_000, "objects": 6000, "requests": 120, "cost": 0.004},
        ],
        "total": {"tokens": 5_200_000, "objects": 104_000, "requests": 2080, "cost": 0.004},
        "allowances": [
            {
                "model": _MODEL,
                "month": "2026-11",
                "tokens": 5_000_000,
                "used": 5_200_000,
                "left": 0,
                "price_per_million_tokens": 0.02,
                "cost": 0.004,
            }
        ],
    },
    0.003,
)

OPERATIONS: Operations = {
    ("get", "/inference/usage"): Operation(
        tag="console",
        summary="Tokens, objects, requests and cost",
        description=(
            "With `Accept: text/csv` the rows come as CSV; rows by model then say what is left of its allowance, which "
            "is that of the last of the months asked for. The key of the service (also the read-only one) and the "
            "admin key see everybody's usage; a tenant sees its own. Cost is for the tokens over the free allowance of "
            "a model and month, which all tenants share; it falls on the hours in which the allowance was used up "
            "already, and in an hour on all alike. `requests` of rows by `model` are those that used it: of a request "
            "with several models each has it, and `total` and rows without `model` have it once. Rows are never older "
            "than a second; `ledger.behind` of `/inference/live` says when they are."
        ),
        parameters=_PARAMETERS,
        answer=UsageAnswer,
        means="One row for each group, in the order of the groups' names. Calls without a name have the tenant null.",
        example=_EXAMPLE,
        csv=(
            "model,day,tokens,objects,requests,cost,allowance_month,allowance_tokens,allowance_left\r\n"
            f"{_MODEL},2026-11-22,4900000,98000,1960,0.0,2026-11,5000000,0\r\n"
        ),
        refusals={**AWAY, **REFUSED},
    )
}
