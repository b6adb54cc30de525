from __future__ import annotations

from typing import Any

import pytest

from tests.support.management import MakeWorld, World
from tests.support.seeing import counted


async def play(here: World, inputs: list[Any], models: list[str], **more: Any) -> list[Any]:
    answer = await here.ask("POST", "/inference/playground", {"inputs": inputs, "models": models, **more})
    models_said: list[Any] = answer.result["models"]
    return models_said


async def test_each_model_reads_what_it_can(world: MakeWorld) -> None:
    inputs = [{"text": "hello you"}, {"image": "good"}]
    dense, sparse, vision = await play(world(), inputs, ["short", "s/sparse", "c/clip-vision"])
    assert [one["input"] for one in dense["outputs"]] == [0]
    assert len(dense["outputs"][0]["dense"]) == 4
    assert dense["model"] == "d/Dense"
    assert sparse["outputs"][0]["sparse"] == {"indices": [7], "values": [9.0], "words": ["seven"]}
    assert [one["input"] for one in vision["outputs"]] == [1]
    assert vision["outputs"][0]["tokens"] is None


async def test_tokens_stand_where_they_are_in_the_text_as_it_was_sent(world: MakeWorld) -> None:
    (dense,) = await play(world(), [{"text": "hello you"}], ["d/Dense"])
    (output,) = dense["outputs"]
    assert output["tokens"] == [
        {"text": "[CLS]", "start": None, "end": None},
        {"text": "query:", "start": None, "end": None},
        {"text": "hello", "start": 0, "end": 5},
        {"text": "you", "start": 6, "end": 9},
    ]
    assert (output["truncated_at"], output["tokens_cut"]) == (9, 3)


async def test_a_prefix_that_stands_there_already_is_part_of_the_text(world: MakeWorld) -> None:
    (dense,) = await play(world(), [{"text": "passage: hi"}], ["d/Dense"], direction="update")
    assert dense["outputs"][0]["tokens"][1] == {"text": "passage:", "start": 0, "end": 8}


async def test_a_model_that_fails_leaves_the_others_alone(world: MakeWorld) -> None:
    here = world()
    await here.ask("PUT", "/inference/settings", {"models": {"s/sparse": False}})
    off, unknown, bad, dense = await play(
        here, [{"text": "x"}, {"image": "bad"}], ["s/sparse", "nothing", "c/clip-vision", "d/Dense"]
    )
    assert off["error"] == "inference is switched off for the model 's/sparse'"
    assert "no model 'nothing' here" in unknown["error"]
    assert (bad["error"], dense["error"]) == (None, None)
    assert [(one["input"], one["error"]) for one in bad["outputs"]] == [(1, "not an image")]


async def test_an_input_that_is_wrong_leaves_the_others_alone(world: MakeWorld) -> None:
    here = world()
    (vision,) = await play(here, [{"image": "good"}, {"image": "bad"}, {"image": "fine"}], ["c/clip-vision"])
    assert [(one["input"], one["error"]) for one in vision["outputs"]] == [(0, None), (1, "not an image"), (2, None)]
    assert [one["dense"] is None for one in vision["outputs"]] == [False, True, False]
    await here.ledger.tick()
    (row,) = (await here.ask("GET", "/inference/usage")).result["rows"]
    assert (row["objects"], row["requests"]) == (2, 2)


async def test_an_option_that_is_wrong_is_of_the_model_and_not_of_each_input(world: MakeWorld) -> None:
    (sparse,) = await play(world(), [{"text": "x"}, {"text": "y"}], ["s/sparse"], options={"s/sparse": {"mrl": 2}})
    assert "mrl" in sparse["error"]
    assert sparse["outputs"] == []


async def test_options_are_the_models_own(world: MakeWorld) -> None:
    dense, sparse = await play(
        world(), [{"text": "x"}], ["d/Dense", "s/sparse"], options={"d/Dense": {"mrl": 2}, "s/sparse": {"mrl": 2}}
    )
    assert len(dense["outputs"][0]["dense"]) == 2
    assert "mrl" in sparse["error"]


async def test_it_counts_as_usage(world: MakeWorld) -> None:
    here = world()
    await play(here, [{"text": "x"}], ["s/sparse"])
    await here.ledger.tick()
    rows = (await here.ask("GET", "/inference/usage?group_by=operation")).result["rows"]
    assert [(row["operation"], row["tokens"]) for row in rows] == [("playground", 1)]


async def test_it_counts_as_one_request_whatever_models_are_tried(world: MakeWorld) -> None:
    here = world()
    await play(here, [{"text": "x"}], ["nothing", "s/sparse", "d/Dense", "b/bm25"])
    await here.ledger.tick()
    told = (await here.ask("GET", "/inference/usage?group_by=model")).result
    assert [row["requests"] for row in told["rows"]] == [1, 1, 1]
    assert told["total"]["requests"] == 1
    assert (await here.ask("GET", "/inference/live")).result["total"]["requests_per_s"] == 0.1


@pytest.mark.parametrize(
    "question",
    [
        {"inputs": [], "models": ["d/Dense"]},
        {"inputs": [{"text": "secret text", "image": "x"}], "models": ["d/Dense"]},
        {"inputs": [{"text": "secret text" * 2000}], "models": ["d/Dense"]},
        {"inputs": [{"text": "secret text"}], "models": ["d/Dense"] * 17},
        {"inputs": [{"text": "secret text"}], "models": ["d/Dense"], "direction": "both"},
    ],
)
async def test_a_wrong_question_is_400_and_is_not_repeated(world: MakeWorld, question: Any) -> None:
    answer = await world().ask("POST", "/inference/playground", question)
    assert answer.status == 400
    assert "secret" not in answer.content.decode()


async def test_each_models_objects_are_counted_once(world: MakeWorld) -> None:
    inputs = [{"text": text} for text in ("hello", "you", "there")]
    with counted() as added:
        await play(world(), inputs, ["d/Dense", "s/sparse", "b/bm25"])
    objects = {name: count for name, count in added.items() if name.startswith("objects_total")}
    assert objects == {f"objects_total{{{model},search}}": 3 for model in ("d/Dense", "s/sparse", "b/bm25")}
