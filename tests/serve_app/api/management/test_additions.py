"""Adding and taking away models by the API, with machines that do as they are told."""

from __future__ import annotations

import asyncio

import pytest

from serve_app.cluster.additions import Step
from tests.support.management import KEYS, MakeWorld, World, card

ENTRY = {"name": "new/dense", "family": "dense", "dimensions": 4, "context_window": 8, "pooling": "mean",
         "licence": "MIT", "model_card_url": "-", "sources": [{"folder": "/models/new", "files": {}}]}  # fmt: skip
ADMIN = KEYS["qdrant_inference_admin_key"]


async def finished(served: World) -> None:
    await asyncio.gather(*served.additions._work.values())


async def test_a_model_is_added_used_and_taken_away(world: MakeWorld) -> None:
    served = world()
    served.cluster.steps = [Step("downloading", "new/dense: downloading", 1, 2), Step("ready", cards=[card_of_entry()])]
    begun = (await served.ask("POST", "/inference/models", {"entry": ENTRY})).result
    assert (begun["name"], begun["state"]) == ("new/dense", "waiting")
    await finished(served)
    told = (await served.ask("GET", "/inference/models")).result
    assert [one["name"] for one in told["models"]][-1] == "new/dense"
    assert told["additions"] == [
        {"name": "new/dense", "models": ["new/dense"], "state": "ready", "detail": "", "done": 0, "total": None,
         "reason": None}
    ]  # fmt: skip
    assert (await served.query("NEW/dense")).status == 200
    played = await served.ask("POST", "/inference/playground", {"models": ["new/dense"], "inputs": [{"text": "a"}]})
    assert played.status == 200, played.json
    sent = {"input": "a", "model": "new/dense"}
    assert (await served.ask("POST", "/v1/embeddings", sent)).status == 200
    assert (await served.ask("DELETE", "/inference/models/new/dense?files=true")).result["state"] == "ready"
    refused = await served.query("new/dense")
    assert refused.status == 400
    assert "no model 'new/dense' here" in refused.json["status"]["error"]
    assert served.cluster.forgotten == ["new/dense"]


async def test_only_the_admin_key_adds_and_takes_away(world: MakeWorld) -> None:
    served = world(**KEYS)
    for key in (KEYS["qdrant_api_key"], KEYS["qdrant_read_only_api_key"]):
        assert (await served.ask("POST", "/inference/models", {"entry": ENTRY}, api_key=key)).status == 403
        assert (await served.ask("DELETE", "/inference/models/d/Dense", api_key=key)).status == 403
    assert (await served.ask("POST", "/inference/models", {"entry": ENTRY})).status == 401
    assert (await served.ask("DELETE", "/inference/models/d/Dense")).status == 401
    assert not served.cluster.begun
    assert (await served.ask("POST", "/inference/models", {"entry": ENTRY}, api_key=ADMIN)).status == 200
    await finished(served)
    assert (await served.ask("DELETE", "/inference/models/new%2Fdense", api_key=ADMIN)).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("POST", "/inference/models", {}, 400, "expected 'hub' or 'entry'"),
        ("POST", "/inference/models", {"entry": {**ENTRY, "pooling": None}}, 400, "a dense model needs 'pooling'"),
        ("POST", "/inference/models", {"entry": {**ENTRY, "name": "SHORT"}}, 409, "two models answer to the name"),
        ("POST", "/inference/models", {"hub": "d/Dense"}, 409, "there is a model 'd/Dense' already"),
        ("DELETE", "/inference/models/d/Dense", None, 400, "stands in the catalogue of the Serve config file"),
        ("DELETE", "/inference/models/nobody", None, 400, "no model 'nobody' was added"),
        ("DELETE", "/inference/models/nobody?files=maybe", None, 400, "files, which is true or false"),
    ],
)
async def test_what_is_wrong_is_said(  # noqa: PLR0913, PLR0917  one row of the table
    world: MakeWorld, method: str, path: str, body: object, status: int, said: str
) -> None:
    served = world()
    answer = await served.ask(method, path, body)
    assert answer.status == status
    assert said in answer.json["status"]["error"]
    assert not served.cluster.begun


HEADS = [{"family": "sparse", "weights": "s.pt"}, {"family": "late-interaction", "weights": "c.pt"}]
MANY = {**ENTRY, "name": "new/many", "heads": HEADS}
NAMES = ["new/many", "new/many-sparse", "new/many-colbert"]


async def test_a_network_with_several_vectors_comes_and_goes_as_a_whole(world: MakeWorld) -> None:
    served = world()
    assert (await served.ask("POST", "/inference/models", {"entry": MANY})).status == 200
    await finished(served)
    told = (await served.ask("GET", "/inference/models")).result
    assert [one["name"] for one in told["models"]][-3:] == NAMES
    assert [one["models"] for one in told["additions"]] == [NAMES]
    vector = {str(number): {"text": "tea", "model": name} for number, name in enumerate(NAMES)}
    assert (await served.ask("PUT", "/collections/c/points", {"points": [{"id": 1, "vector": vector}]})).status == 200
    assert served.qdrant.body["points"][0]["vector"] == {
        "0": [1, 1, 1, 1], "1": {"indices": [7], "values": [1]}, "2": [[1, 1, 1], [1, 1, 1]]
    }  # fmt: skip
    taken = {**ENTRY, "name": "new/many-sparse"}
    assert (await served.ask("POST", "/inference/models", {"entry": taken})).status == 409
    gone = (await served.ask("DELETE", "/inference/models/new/many-colbert?files=true")).result
    assert gone["models"] == NAMES
    assert served.cluster.forgotten == ["new/many"]
    assert not served.cluster.apps
    for name in NAMES:
        assert (await served.query(name)).status == 400


async def test_a_model_of_texts_and_images_is_added(world: MakeWorld) -> None:
    served = world()
    given = {"dimensions": 4, "context_window": 8, "image_size": 2, "image_limits": {}}
    plain = {key: value for key, value in ENTRY.items() if key != "pooling"}
    entry = {**plain, "name": "new/both", "family": "text-image", **given}
    assert (await served.ask("POST", "/inference/models", {"entry": entry})).status == 200
    await finished(served)
    told = (await served.ask("GET", "/inference/models")).result["models"][-1]
    assert (told["name"], told["reads"]) == ("new/both", ["text", "image"])
    for vector in ({"text": "tea"}, {"image": "aGk="}):
        points = {"points": [{"id": 1, "vector": {**vector, "model": "new/both"}}]}
        assert (await served.ask("PUT", "/collections/c/points", points)).status == 200
        assert len(served.qdrant.body["points"][0]["vector"]) == 4
    assert (await served.ask("DELETE", "/inference/models/new/both")).status == 200
    assert (await served.query("new/both")).status == 400


def card_of_entry() -> object:
    return card("new/dense", "dense", dimensions=4, context_window=8, pooling="mean")
