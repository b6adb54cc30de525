"""Rerankers: pairs are read as the reference tokenizers read them, and each gets one score."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from tokenizers import Tokenizer

from deployments.architectures.checkpoint import Checkpoint
from deployments.catalogue.card import ModelCard, Prefixes
from deployments.contract import Batch, Embeddings, Pair
from deployments.errors import InternalError, ModelError
from deployments.families.loading import load_family
from deployments.families.tokenizing import TextTokenizer
from deployments.graphs import heads
from deployments.networks import opening
from deployments.networks.settings import SessionSettings
from deployments.onboarding import benchmark, in_process
from deployments.onboarding.self_check import self_check
from deployments.replica.settings import ReplicaSettings
from tests.support import rerankers, tiny

CPU = SessionSettings(provider="cpu")
PAIRS = [
    Pair("what is the capital", "the capital of Paris"),
    Pair("", ""),
    Pair("vectors", "text and vectors are the text. " * 20),
    Pair("is the text of vectors " * 20, "the capital"),
    Pair("is the text of vectors " * 20, "the capital and the vectors " * 21),
    Pair("a lone \ud83c half", "\ud83c"),
]
each_reranker = pytest.mark.parametrize("name", rerankers.RERANKERS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            made[name] = rerankers.write(tmp_path_factory.mktemp("reranker"), name)
        return made[name]

    return make


def score(name: str, folder: Path, pairs: list[Pair], budget: int = 128, settings: SessionSettings = CPU) -> Embeddings:
    family = load_family(rerankers.card(name), folder, settings)
    return in_process.embed(family, Batch(pairs, "search"), budget)


def numbers(embeddings: Embeddings) -> np.ndarray:
    return np.concatenate([np.asarray(embeddings.vectors[position]) for position in range(len(embeddings))])


@each_reranker
def test_packed_and_padded_rows_give_the_same_scores(name: str, folder: Callable[[str], Path]) -> None:
    packed = score(name, folder(name), PAIRS)
    padded = score(name, folder(name), PAIRS, settings=SessionSettings(provider="cpu", rows="padded"))
    assert numbers(packed).shape == (len(PAIRS),)
    assert numbers(packed) == pytest.approx(numbers(padded), abs=2e-5)
    assert packed.tokens.tolist() == padded.tokens.tolist()


@each_reranker
def test_ragged_pairs_give_the_same_scores(
    name: str, folder: Callable[[str], Path], on_cuda: AbstractContextManager[None]
) -> None:
    """As CUDA gets them."""
    packed = score(name, folder(name), PAIRS)
    with on_cuda:
        ragged = score(name, folder(name), PAIRS)
    assert numbers(ragged) == pytest.approx(numbers(packed), abs=2e-5)


def test_query_and_document_are_not_the_same_to_a_model_with_segments(folder: Callable[[str], Path]) -> None:
    there, back = score("bert", folder("bert"), [PAIRS[0], Pair(PAIRS[0].document, PAIRS[0].query)]).vectors  # type: ignore[attr-defined]
    assert abs(there - back) > 1e-3


def test_tokens_count_both_parts_and_what_stands_around_them(folder: Callable[[str], Path]) -> None:
    found = score("bert", folder("bert"), [Pair("the capital", "is text"), *PAIRS[2:5]])
    assert found.tokens.tolist() == [2 + 2 + 3, 64, 64, 64]
    assert found.truncated == 3


def whole(tokenizer: Tokenizer, pair: Pair, window: int) -> list[int]:
    """As transformers reads a pair, with all of both texts."""
    tokenizer.enable_truncation(window, strategy="longest_first")
    ids: list[int] = tokenizer.encode(pair.query, pair.document).ids
    return ids


@pytest.mark.parametrize("window", [63, 64])
@pytest.mark.parametrize("words", [1, 30, 31, 300, 301])
def test_a_long_pair_is_cut_at_the_end_of_its_longer_part(tmp_path: Path, window: int, words: int) -> None:
    """Of long texts only the beginning is read, which must not show: 300 words are far beyond what is read at first."""
    tiny.word_pieces().save(str(tmp_path / "tokenizer.json"))
    for query, document in (("text " * words, "is the capital " * 200), ("the of " * 150, "text " * words)):
        pair = Pair(query, document)
        items, truncated = TextTokenizer(tmp_path / "tokenizer.json", window).encode_pairs([pair])
        assert items[0].ids == whole(tiny.word_pieces(), pair, window)
        assert (len(items[0].ids), truncated) == (window, 1)
        assert 0 < items[0].first < window


def test_of_a_long_document_only_the_beginning_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.word_pieces().save(str(tmp_path / "tokenizer.json"))
    tokenizer, read = TextTokenizer(tmp_path / "tokenizer.json", 64), list[int]()
    plain = tokenizer._encode

    def counting(texts: list[tuple[str, str]]) -> object:
        read.extend(len(query) + len(document) for query, document in texts)
        return plain(texts)

    monkeypatch.setattr(tokenizer, "_encode", counting)
    tokenizer.encode_pairs([Pair("text", "is the capital " * 10_000)])
    assert sum(read) < 1000


def test_a_pair_is_as_long_as_both_parts_and_travels() -> None:
    pair = Pair("ab", "cde")
    assert len(pair) == 5
    assert pickle.loads(pickle.dumps(pair)) == pair


def test_a_model_with_several_labels_is_no_reranker(tmp_path: Path) -> None:
    folder = rerankers.write(tmp_path)
    tensors, config = rerankers.bert(tiny.word_pieces().get_vocab_size())
    tiny.write_as(folder, tensors | tiny.Weights().linear("classifier", 3, tiny.HIDDEN), config)
    with pytest.raises(ModelError, match="a model with 3 labels is no reranker"):
        heads.scores(Checkpoint(folder))


def test_an_architecture_whose_head_is_not_known_is_named(tmp_path: Path) -> None:
    tiny.write_as(tmp_path, *rerankers.architectures.nomic(tiny.WORDS))
    with pytest.raises(ModelError, match="the head for classification of 'nomic_bert' is not known here"):
        heads.scores(Checkpoint(tmp_path))


@each_reranker
def test_float16_is_near(name: str, folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    exact = score(name, folder(name), PAIRS)
    plain = opening.open_session
    monkeypatch.setattr(
        opening, "open_session", lambda build, settings, *_: plain(lambda _: build(np.float16), settings)
    )
    half = score(name, folder(name), PAIRS)
    assert numbers(half) == pytest.approx(numbers(exact), abs=0.02)
    assert np.abs(numbers(half) - numbers(exact)).max() > 1e-6, "this was not float16"


def test_a_ready_file_that_gives_several_numbers_is_refused(folder: Callable[[str], Path], tmp_path: Path) -> None:
    kind = onnx.TensorProto
    inputs = [helper.make_tensor_value_info("input_ids", kind.INT64, ["batch", "tokens"])]
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["floats"], to=kind.FLOAT),
        helper.make_node("Slice", ["floats", "zero", "two", "one"], ["logits"]),
    ]
    constants = [helper.make_tensor(n, kind.INT64, [1], [v]) for n, v in (("zero", 0), ("one", 1), ("two", 2))]
    output = [helper.make_tensor_value_info("logits", kind.FLOAT, ["batch", 2])]
    graph = helper.make_graph(nodes, "two", inputs, output, constants)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "model.onnx"
    )
    (tmp_path / "tokenizer.json").write_bytes((folder("bert") / "tokenizer.json").read_bytes())
    with pytest.raises(InternalError, match="gives 2 numbers for a pair"):
        score("bert", tmp_path, PAIRS[:1])


def test_it_is_checked_and_measured_as_other_models_are(folder: Callable[[str], Path]) -> None:
    card = rerankers.card()
    family = load_family(card, folder("bert"), CPU)
    said = self_check(family, card)
    assert said[0] == "search: a score for each pair"
    assert not [line for line in said if "normalized" in line]
    results = list(benchmark.measure(family, card, 0.001, ReplicaSettings(streams=1)))
    assert [result.tokens for result in results][-2:] == [(64, 64), (23, 64)], "the query alone has more than eight"
    assert [len(batch) for batch in family.samples()] == [1, 1, 16, 8, 2]


def test_a_card_has_no_prefixes() -> None:
    plain = rerankers.card().model_dump(exclude_defaults=True)
    with pytest.raises(ValueError, match="a cross-encoder model has no 'prefixes'"):
        ModelCard.model_validate({**plain, "prefixes": Prefixes(query="query: ")})
