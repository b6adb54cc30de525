"""Token ids that stand for a text, and those that do not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import decoders

from deployments.catalogue.catalogue import HOME
from deployments.contract import Batch
from deployments.errors import WrongInput
from deployments.families import token_ids
from deployments.families.protocol import Prepared
from deployments.families.tokenizing import TextTokenizer
from tests.support import tiny

WINDOW = 8


class Reader:
    """What a text model does before it runs."""

    def __init__(self, path: Path) -> None:
        self.tokenizer = TextTokenizer(path, WINDOW)
        self.texts = self.tokenizer.texts

    def prepare(self, batch: Batch) -> Prepared:
        items, _ = self.tokenizer.encode([str(text) for text in batch.inputs])
        return Prepared(batch, items, np.array([len(item) for item in items]))


@pytest.fixture
def reader(tmp_path: Path) -> Any:
    path = tmp_path / "tokenizer.json"
    tokenizer = tiny.word_pieces()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.save(str(path))
    return Reader(path)


def numbers(reader: Any, *tokens: str) -> list[int]:
    return [reader.tokenizer.token_id(token) for token in tokens]


def read(reader: Any, *rows: Sequence[int]) -> Sequence[str]:
    return token_ids.texts(reader, rows, "m", WINDOW)


def test_ids_may_have_the_special_tokens_around_them_or_not(reader: Any) -> None:
    words = numbers(reader, "the", "text", "##ing", "is")
    framed = numbers(reader, "[CLS]", *("the", "text", "##ing", "is"), "[SEP]")
    assert read(reader, words, framed) == ["the texting is"] * 2


def test_of_more_ids_than_the_model_reads_the_first_count(reader: Any) -> None:
    assert read(reader, numbers(reader, *["the"] * 20)) == [" ".join(["the"] * 20)]


@pytest.mark.parametrize("tokens", [["##ing"], ["the", "[SEP]", "is"], ["[CLS]"], ["[UNK]"]])
def test_ids_whose_text_is_read_as_others_are_refused(reader: Any, tokens: list[str]) -> None:
    with pytest.raises(WrongInput, match="the token ids of item 1 stand for a text that m reads as other ids"):
        read(reader, numbers(reader, "the"), numbers(reader, *tokens))


def test_an_id_beyond_the_vocabulary_is_refused(reader: Any) -> None:
    with pytest.raises(WrongInput, match="not of this model's vocabulary"):
        read(reader, [10**6])


def test_a_tokenizer_that_marks_the_ends_of_words_in_its_texts_takes_no_ids() -> None:
    clip: Any = Reader(HOME / "configs/models/clip-shapes/tokenizer.json")
    (ids,), _ = clip.tokenizer.encode(["a red circle"])  # which it turns into "a</w>red</w>circle</w>"
    with pytest.raises(WrongInput, match="reads as other ids"):
        read(clip, ids)


def test_a_model_without_a_vocabulary_has_no_ids() -> None:
    with pytest.raises(WrongInput, match="m has no token ids; send texts"):
        token_ids.texts(object(), [[1]], "m", WINDOW)  # type: ignore[arg-type]
