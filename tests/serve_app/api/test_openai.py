from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve_app.config.settings import IngressSettings
from tests.support.fakes import dense
from tests.support.management import KEYS, Answer, MakeWorld, World, tenants_file


async def embed(here: World, given: Any, model: str = "d/Dense", **more: Any) -> Answer:
    return await here.ask("POST", "/v1/embeddings", {"model": model, "input": given, **more})


async def test_texts_come_back_in_their_order(world: MakeWorld) -> None:
    answer = (await embed(world(), ["one", "two", "one"])).json
    assert [item["index"] for item in answer["data"]] == [0, 1, 2]
    vectors = [item["embedding"] for item in answer["data"]]
    np.testing.assert_allclose(vectors[1], dense("passage: two"), rtol=1e-6)
    assert vectors[0] == vectors[2] != vectors[1]
    assert answer["usage"] == {"prompt_tokens": 24, "total_tokens": 24}
    assert answer["model"] == "d/Dense"


async def test_a_single_text_and_a_query(world: MakeWorld) -> None:
    answer = (await embed(world(), "one", input_type="query")).json
    np.testing.assert_allclose(answer["data"][0]["embedding"], dense("query: one"), rtol=1e-6)


async def test_base64_is_the_same_numbers(world: MakeWorld) -> None:
    here = world()
    floats = (await embed(here, "one")).json["data"][0]["embedding"]
    encoded = (await embed(here, "one", encoding_format="base64")).json["data"][0]["embedding"]
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(encoded), "<f4"), np.array(floats, np.float32))


async def test_dimensions_cut_and_normalize(world: MakeWorld) -> None:
    vector = (await embed(world(), "one", dimensions=2)).json["data"][0]["embedding"]
    assert len(vector) == 2
    assert np.linalg.norm(vector) == pytest.approx(1)


OWN_IDS = IngressSettings(token_ids=True)


@pytest.mark.parametrize("given", [[1, 2], [[1, 2], [3]]])
async def test_token_ids_are_refused_unless_they_are_said_to_be_the_models_own(world: MakeWorld, given: Any) -> None:
    here = world()
    refused = await embed(here, given)
    assert (refused.status, here.replicas.rows) == (400, [])
    assert "check_embedding_ctx_length=False" in refused.json["error"]["message"]
    assert refused.json["error"]["param"] == "input"


@pytest.mark.parametrize("dimensions", [0, -1, 5])
async def test_a_wrong_number_of_dimensions_is_named_as_the_caller_named_it(world: MakeWorld, dimensions: int) -> None:
    error = (await embed(world(), "one", dimensions=dimensions)).json["error"]
    assert error["message"] == "dimensions: expected a whole number from 1 to 4"
    assert error["param"] == "dimensions"


async def test_token_ids_are_turned_into_texts(world: MakeWorld) -> None:
    here = world()
    here.settings.replace(OWN_IDS)
    one = (await embed(here, [1, 2])).json["data"]
    np.testing.assert_allclose(one[0]["embedding"], dense("passage: 1 2"), rtol=1e-6)
    assert len((await embed(here, [[1, 2], [3]])).json["data"]) == 2
    refused = await embed(here, [[1]], model="c/clip-text")
    assert refused.status == 400
    assert refused.json["error"]["message"] == "c/clip-text has no token ids; send texts"


async def test_token_ids_are_not_read_for_what_is_refused(world: MakeWorld, tmp_path: Path) -> None:
    quotas = ", quotas: {'*': {tokens_per_month: 1}}"
    here = world(
        qdrant_inference_admin_key="a" * 20,
        qdrant_api_key="k" * 20,
        qdrant_inference_tenants=tenants_file(tmp_path, quotas),
    )
    here.settings.replace(OWN_IDS)
    shop = {"api_key": "shop" * 10}
    question = {"model": "d/Dense", "input": [1, 2]}
    assert (await here.ask("POST", "/v1/embeddings", question, **shop)).status == 200
    assert (await here.ask("POST", "/v1/embeddings", question, **shop)).status == 429
    await here.ask("PUT", "/inference/settings", {"models": {"d/Dense": False}}, api_key="a" * 20)
    off = await here.ask("POST", "/v1/embeddings", question, api_key="k" * 20)
    assert (off.status, off.json["error"]["code"]) == (400, "switched_off")
    assert here.replicas.rows == [[1, 2]]


async def test_token_ids_keep_to_the_limits_of_texts(world: MakeWorld) -> None:
    here = world()
    here.settings.replace(IngressSettings(text_characters=3, objects=2, token_ids=True))
    for given, said in (([1] * 4, "text_characters"), ([[1], [1] * 4], "text_characters"), ([[1]] * 3, "objects")):
        refused = await embed(here, given)
        assert (refused.status, here.replicas.rows) == (400, [])
        assert said in refused.json["error"]["message"]


@pytest.mark.parametrize(
    ("question", "status", "kind", "code"),
    [
        ({"model": "gpt", "input": "x"}, 404, "invalid_request_error", "model_not_found"),
        ({"model": "s/sparse", "input": "x"}, 400, "invalid_request_error", "bad_request"),
        ({"model": "c/clip-vision", "input": "x"}, 400, "invalid_request_error", "bad_request"),
        ({"model": "d/Dense", "input": []}, 400, "invalid_request_error", "bad_request"),
        ({"model": "d/Dense", "input": ["x"] * 2049}, 400, "invalid_request_error", "bad_request"),
        ({"model": "d/Dense", "input": ["x", 1]}, 400, "invalid_request_error", "bad_request"),
        ({"model": "d/Dense", "input": "x", "dimensions": 5}, 400, "invalid_request_error", "bad_request"),
        ({"model": "d/Dense", "input": "x", "encoding_format": "hex"}, 400, "invalid_request_error", "bad_request"),
        ({"input": "x"}, 400, "invalid_request_error", "bad_request"),
        (b"{", 400, "invalid_request_error", "bad_request"),
    ],
)
async def test_errors_have_openais_shape(world: MakeWorld, question: Any, status: int, kind: str, code: str) -> None:
    answer = await world().ask("POST", "/v1/embeddings", question)
    error = answer.json["error"]
    assert (answer.status, error["type"], error["code"]) == (status, kind, code)


async def test_a_key_is_needed_as_for_the_service(world: MakeWorld) -> None:
    here = world(**KEYS)
    question = {"model": "d/Dense", "input": "x"}
    refused = await here.ask("POST", "/v1/embeddings", question)
    assert (refused.status, refused.json["error"]["type"]) == (401, "authentication_error")
    assert (await here.ask("GET", "/v1/models")).status == 401
    assert (await here.ask("POST", "/v1/embeddings", question, authorization="Bearer " + "k" * 20)).status == 200


async def test_a_switched_off_model_is_refused(world: MakeWorld) -> None:
    here = world()
    await here.ask("PUT", "/inference/settings", {"models": {"d/Dense": False}})
    answer = await embed(here, "x")
    assert (answer.status, answer.json["error"]["code"]) == (400, "switched_off")


async def test_models_are_listed(world: MakeWorld) -> None:
    answer = await world().ask("GET", "/v1/models")
    assert [model["id"] for model in answer.json["data"]] == ["d/Dense", "c/clip-text"]


async def test_one_model_is_told_by_its_name(world: MakeWorld) -> None:
    here = world()
    for name in ("d/Dense", "d%2FDense", "short"):
        model = (await here.ask("GET", f"/v1/models/{name}")).json
        assert (model["id"], model["object"]) == ("d/Dense", "model")
    for name in ("gpt", "s/sparse"):
        answer = await here.ask("GET", f"/v1/models/{name}")
        assert answer.status == 404
        assert answer.json["error"]["code"] == "model_not_found"


async def test_an_unforeseen_error_has_openais_shape_too(world: MakeWorld) -> None:
    class Broken:
        async def __call__(self, _: Any) -> Any:
            raise ZeroDivisionError

    answer = await embed(world(models={"d/Dense": Broken()}), "x")
    assert (answer.status, answer.json["error"]["type"]) == (500, "server_error")


async def test_other_paths_are_not_there(world: MakeWorld) -> None:
    assert (await world().ask("GET", "/v1/embeddings")).status == 404
