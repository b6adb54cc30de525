from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import pytest

from serve_app.ledger.counts import Count, Counts, Key
from serve_app.ledger.sync import SyncRequest
from tests.support.management import MakeWorld, World, tenants_file

NOVEMBER = 1_793_491_200 // 3600


async def fill(here: World) -> None:
    counts = Counts()
    counts.add(Key(NOVEMBER + 5, "d/Dense", "shop", "update"), Count(1, 10, 80, 1))
    counts.add(Key(NOVEMBER + 30, "d/Dense", "", "search"), Count(2, 2, 40, 2))
    counts.add(Key(NOVEMBER + 30, "b/bm25", "shop", "search"), Count(1, 1, 7, 0))
    counts.add(Key(NOVEMBER - 1, "d/Dense", "shop", "search"), Count(1, 1, 1000, 1))
    await here.ledger._syncs.do(lambda database: database.sync(SyncRequest("x", 1, time.time(), counts, {}), 0, ()))


async def usage(here: World, query: str) -> dict[str, object]:
    answer = await here.ask("GET", f"/inference/usage?{query}")
    result: dict[str, object] = answer.result
    return result


async def test_usage_by_model_and_its_cost_beyond_the_allowance(world: MakeWorld) -> None:
    here = world()
    await fill(here)
    told = await usage(here, "from=2026-11-01&to=2026-12-01")
    assert told["rows"] == [
        {"model": "b/bm25", "tokens": 7, "objects": 1, "requests": 1, "cost": 0.0},
        {"model": "d/Dense", "tokens": 120, "objects": 12, "requests": 3, "cost": 0.00004},
    ]
    assert told["total"] == {"tokens": 127, "objects": 13, "requests": 3, "cost": 0.00004}
    allowances = {line["model"]: line for line in told["allowances"]}  # type: ignore[attr-defined]
    assert (allowances["d/Dense"]["used"], allowances["d/Dense"]["left"]) == (120, 0)
    assert (allowances["b/bm25"]["used"], allowances["b/bm25"]["left"]) == (7, 93)
    assert allowances["d/Dense"]["cost"] == 0.00004
    assert allowances["d/Dense"]["month"] == "2026-11"


@pytest.mark.parametrize(
    ("groups", "rows"),
    [
        ("day", [["2026-11-01", 80], ["2026-11-02", 47]]),
        ("hour", [["2026-11-01T05", 80], ["2026-11-02T06", 47]]),
        ("tenant", [[None, 40], ["shop", 87]]),
        ("operation", [["search", 47], ["update", 80]]),
        ("model,day", [["b/bm25", "2026-11-02", 7], ["d/Dense", "2026-11-01", 80], ["d/Dense", "2026-11-02", 40]]),
    ],
)
async def test_usage_by_anything(world: MakeWorld, groups: str, rows: list[list[object]]) -> None:
    here = world()
    await fill(here)
    told = await usage(here, f"from=2026-11-01&to=2026-12-01&group_by={groups}")
    names = [*groups.split(","), "tokens"]
    assert [[row[name] for name in names] for row in told["rows"]] == rows  # type: ignore[attr-defined]


async def test_the_allowance_counts_from_the_months_start_whatever_is_asked_for(world: MakeWorld) -> None:
    here = world()
    await fill(here)
    told = await usage(here, "from=2026-11-02&to=2026-11-03")
    assert told["total"]["cost"] == 0.00004  # type: ignore[index]
    assert told["total"]["tokens"] == 47  # type: ignore[index]


@pytest.mark.parametrize(
    ("groups", "requests"),
    [("tenant", [1]), ("day", [1]), ("operation", [1]), ("model", [1, 1]), ("model,day", [1, 1]), ("tenant,hour", [1])],
)
async def test_a_request_with_two_models_counts_once_but_for_each_of_them(
    world: MakeWorld, groups: str, requests: list[int]
) -> None:
    here = world()
    vectors = {"a": {"text": "x", "model": "d/Dense"}, "b": {"text": "x", "model": "s/sparse"}}
    assert (await here.ask("PUT", "/collections/c/points", {"points": [{"id": 1, "vector": vectors}]})).status == 200
    await here.ledger.tick()
    told = await usage(here, f"group_by={groups}")
    assert told["total"]["requests"] == 1  # type: ignore[index]
    assert [row["requests"] for row in told["rows"]] == requests  # type: ignore[attr-defined]
    live = (await here.ask("GET", "/inference/live")).result
    assert live["total"]["requests_per_s"] == live["models"]["d/Dense"]["requests_per_s"] == 0.1


async def test_without_parameters_it_is_this_month_until_now(world: MakeWorld) -> None:
    here = world()
    await here.query()
    await here.ledger.tick()
    told = await usage(here, "")
    assert told["rows"][0]["requests"] == 1  # type: ignore[index]
    assert str(told["from"]).endswith("-01T00")


async def test_a_tenant_pays_its_own_share_of_what_is_beyond_everybodys_allowance(
    world: MakeWorld, tmp_path: Path
) -> None:
    here = world(qdrant_api_key="k" * 20, qdrant_inference_tenants=tenants_file(tmp_path))
    for key in ("shop" * 10, "k" * 20):
        for _ in range(5):
            await here.query(api_key=key)
    await here.ledger.tick()
    paid = {}
    for key in ("shop" * 10, "k" * 20):
        told = (await here.ask("GET", "/inference/usage", api_key=key)).result
        (dense,) = [one for one in told["allowances"] if one["model"] == "d/Dense"]
        assert (dense["used"], dense["left"]) == (160, 0)
        paid[key] = dense["cost"]
        assert dense["cost"] == told["total"]["cost"]
    assert paid["shop" * 10] == pytest.approx(paid["k" * 20] / 2) == pytest.approx(60 / 2 * 2 / 10**6)


async def test_csv_has_the_same_rows(world: MakeWorld) -> None:
    here = world()
    await fill(here)
    answer = await here.ask(
        "GET", "/inference/usage?from=2026-11-01&group_by=model,tenant&to=2026-12-01", accept="text/csv"
    )
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [(row["model"], row["tenant"], row["tokens"]) for row in rows] == [
        ("b/bm25", "shop", "7"),
        ("d/Dense", "", "40"),
        ("d/Dense", "shop", "80"),
    ]
    allowance = ("allowance_month", "allowance_tokens", "allowance_left")
    assert [tuple(row[name] for name in allowance) for row in rows] == [
        ("2026-11", "100", "93"),
        ("2026-11", "100", "0"),
        ("2026-11", "100", "0"),
    ]
    days = await here.ask("GET", "/inference/usage?group_by=day&from=2026-11-01&to=2026-12-01", accept="text/csv")
    assert days.content.decode().splitlines()[0] == "day,tokens,objects,requests,cost"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("from=yesterday", "from: expected a day or an hour"),
        ("to=2026-13-01", "to: expected a day or an hour"),
        ("from=2026-11-01T25", "from: expected a day or an hour"),
        ("group_by=text", "group_by: expected one or several of model, tenant, operation, day, hour"),
        ("from=2026-11-02&to=2026-11-01", "from: expected a time before that of to"),
        ("from=2026-11-01&to=2026-11-01", "from: expected a time before that of to"),
        ("from=2999-01-01", "or before now if to is not given"),
        ("groupby=day", "unknown parameter 'groupby'"),
    ],
)
async def test_a_wrong_parameter_is_named(world: MakeWorld, query: str, said: str) -> None:
    answer = await world().ask("GET", f"/inference/usage?{query}")
    assert answer.status == 400
    assert said in answer.json["status"]["error"]


async def test_a_tenant_sees_its_own_usage_only(world: MakeWorld, tmp_path: Path) -> None:
    here = world(qdrant_api_key="k" * 20, qdrant_inference_tenants=tenants_file(tmp_path))
    for key in ("shop" * 10, "shop" * 10, "bakery" * 10, "k" * 20):
        await here.query(api_key=key)
    await here.ledger.tick()
    mine = (await here.ask("GET", "/inference/usage?group_by=tenant", api_key="shop" * 10)).json
    assert [(row["tenant"], row["requests"]) for row in mine["result"]["rows"]] == [("shop", 2)]
    (dense,) = [one for one in mine["result"]["allowances"] if one["model"] == "d/Dense"]
    assert (dense["used"], dense["left"]) == (4 * len("query: hello you"), 100 - 4 * len("query: hello you"))
    everybodys = await here.ask("GET", "/inference/usage?group_by=tenant", api_key="k" * 20)
    assert [(row["tenant"], row["requests"]) for row in everybodys.result["rows"]] == [
        (None, 1),
        ("bakery", 1),
        ("shop", 2),
    ]
