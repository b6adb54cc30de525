"""A batch in each provider's words."""

from __future__ import annotations

from typing import Any

import pytest

from deployments.catalogue.providers import PROVIDERS
from deployments.contract import Batch, Direction, ProviderBatch, ProviderKind, Reads, Target
from deployments.errors import WrongInput
from deployments.providers.answers import UnsoundAnswerError
from deployments.providers.translators import TRANSLATORS
from tests.support.provider_sites import PNG


def body(
    kind: ProviderKind,
    inputs: list[str],
    *,
    direction: Direction = "update",
    reads: Reads = "text",
    model: str = "m",
    **options: Any,
) -> Any:
    target = Target("x/m", "x/*", kind, "http://p", model, fetches=PROVIDERS[kind].fetches)
    return TRANSLATORS[kind].body(ProviderBatch(Batch(inputs, direction, options), reads, target, None))


def test_there_is_a_translator_for_each_kind() -> None:
    assert TRANSLATORS.keys() == PROVIDERS.keys()


def test_texts_of_openai_and_openrouter() -> None:
    expected = {"model": "m", "input": ["a", "b"], "dimensions": 512}
    assert body("openai", ["a", "b"], dimensions=512) == expected
    assert body("openrouter", ["a", "b"], dimensions=512) == expected


def test_texts_of_cohere_follow_the_direction_unless_the_caller_says_otherwise() -> None:
    head = {"model": "m", "embedding_types": ["float"], "texts": ["a"]}
    assert body("cohere", ["a"]) == {**head, "input_type": "search_document"}
    assert body("cohere", ["a"], direction="search") == {**head, "input_type": "search_query"}
    assert body("cohere", ["a"], input_type="clustering") == {**head, "input_type": "clustering"}


@pytest.mark.parametrize(
    ("model", "direction", "task"),
    [
        ("jina-embeddings-v3", "search", "retrieval.query"),
        ("jina-embeddings-v4", "update", "retrieval.passage"),
        ("jina-clip-v2", "search", "retrieval.query"),
        ("jina-clip-v2", "update", None),
        ("jina-embeddings-v2-base-en", "search", None),
    ],
)
def test_tasks_of_jina_go_to_models_that_know_them(model: str, direction: Direction, task: str | None) -> None:
    assert body("jina", ["a"], model=model, direction=direction).get("task") == task
    assert body("jina", ["a"], model=model, direction=direction, task="text-matching")["task"] == "text-matching"


def test_images_as_each_provider_takes_them() -> None:
    base64, url = PNG.partition(",")[2], "https://example.org/a.png"
    cohere = body("cohere", [PNG], reads="image")
    assert (cohere["images"], cohere["input_type"], "texts" in cohere) == ([PNG], "image", False)
    assert body("cohere", [base64], reads="image")["images"] == [PNG]
    assert body("jina", [PNG, url], reads="image")["input"] == [{"image": base64}, {"image": url}]
    (item,) = body("openrouter", [url], reads="image")["input"]
    assert item == {"content": [{"type": "image_url", "image_url": {"url": url}}]}


@pytest.mark.parametrize("kind", ["openai", "tei"])
def test_who_reads_no_images_is_sent_none(kind: ProviderKind) -> None:
    with pytest.raises(WrongInput, match="takes no images"):
        body(kind, [PNG], reads="image")


@pytest.mark.parametrize("source", ["!!", "aGVsbG8=", "data:image/png;base64,aGVsbG8=", "ftp://x/y", "http://"])
def test_what_is_no_image_is_refused_here_and_not_quoted(source: str) -> None:
    with pytest.raises(WrongInput) as caught:
        body("jina", [source], reads="image")
    assert "aGVsbG8" not in caught.value.message


def test_cohere_takes_no_urls() -> None:
    with pytest.raises(WrongInput, match="takes no URLs"):
        body("cohere", ["https://example.org/a.png"], reads="image")


def test_long_texts_are_cut_by_text_embeddings_inference() -> None:
    assert body("tei", ["a"]) == {"inputs": ["a"], "truncate": True}
    assert body("tei", ["a"], truncate=False, prompt_name="query") == {
        "inputs": ["a"], "truncate": False, "prompt_name": "query"
    }  # fmt: skip


@pytest.mark.parametrize("kind", PROVIDERS)
@pytest.mark.parametrize("content", [None, [], {}, "x", {"data": {}}, {"data": [1]}, {"embeddings": []}, {"meta": []}])
def test_answers_of_another_shape_give_no_vectors(kind: ProviderKind, content: Any) -> None:
    try:
        answer = TRANSLATORS[kind].answer(content, {})
    except UnsoundAnswerError:
        return
    assert not answer.vectors
