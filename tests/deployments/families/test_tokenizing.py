from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from deployments.catalogue.catalogue import HOME
from deployments.errors import ModelFilesError
from deployments.families.tokenizing import TextTokenizer
from deployments.families.unicode import well_formed
from tests.support import tiny

WINDOW = 64
CLIP = HOME / "configs/models/clip-shapes/tokenizer.json"
KINDS = ("word_pieces", "unigrams", "byte_pairs", "clip")

pieces = st.sampled_from(
    ["the ", "capital", " vectors", "is. ", "\n", "[SEP]", "[", "</s>", "é", "巴", "🍮", "a" * 90, "\0"]
)
texts = st.lists(pieces, max_size=800).map("".join)


@pytest.fixture(scope="module", params=KINDS)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "clip":
        return CLIP
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    getattr(tiny, request.param)().save(str(path))
    return path


@settings(max_examples=60, deadline=None)
@given(st.lists(texts, max_size=4))
def test_reading_only_the_beginning_of_a_long_text_changes_nothing(path: Path, batch: list[str]) -> None:
    encodings = [_plain(path).encode(text) for text in batch]
    ids, truncated = _opened(path).encode(batch)
    assert ids == [encoding.ids for encoding in encodings]
    assert truncated == sum(1 for encoding in encodings if encoding.overflowing)


@pytest.mark.parametrize("text", ["hello vector " * 77_000, "\n    a" * 200_000], ids=["words", "lines"])
def test_of_a_million_characters_only_the_beginning_is_read(
    path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    tokenizer = _opened(path)
    encode = tokenizer._encode
    monkeypatch.setattr(tokenizer, "_encode", lambda texts: seen.extend(texts) or encode(texts))
    (ids,), truncated = tokenizer.encode([text])
    assert (len(ids), truncated) == (WINDOW, 1)
    assert text not in seen


def test_a_million_characters_without_an_end_of_a_word_are_read(path: Path) -> None:
    assert 3 <= len(_opened(path).encode(["a" * 10**6])[0][0]) <= WINDOW


def test_a_text_of_exactly_the_window_is_not_truncated(path: Path) -> None:
    tokenizer = _opened(path)
    text = "a." * WINDOW  # each character is a token
    exact = next(text[:end] for end in range(WINDOW) if len(tokenizer.encode([text[:end]])[0][0]) == WINDOW)
    assert tokenizer.encode([exact])[1] == 0
    assert tokenizer.encode([text[: len(exact) + 1]])[1] == 1


def test_half_of_a_surrogate_pair_is_read_as_the_replacement_character(path: Path) -> None:
    tokenizer = _opened(path)
    assert tokenizer.encode(["the \ud83c end", "capital"]) == tokenizer.encode(
        ["the \N{REPLACEMENT CHARACTER} end", "capital"]
    )
    assert tokenizer.encode(["a\udc00" * 1000])[1] == tokenizer.encode(["a\N{REPLACEMENT CHARACTER}" * 1000])[1]


@given(st.text(alphabet=st.characters(), max_size=50))
def test_only_a_text_that_cannot_be_utf8_is_changed(text: str) -> None:
    assert _is_utf8(well_formed(text))
    assert not _is_utf8(text) or well_formed(text) == text


def test_halves_that_stand_together_become_their_character() -> None:
    assert well_formed("\ud83c\udf6e \udf6e") == "🍮 \N{REPLACEMENT CHARACTER}"


def test_a_damaged_tokenizer_is_an_error_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelFilesError, match=r"tokenizer\.json"):
        TextTokenizer(tmp_path / "tokenizer.json", WINDOW)


@cache
def _plain(path: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(WINDOW)
    return tokenizer


@cache
def _opened(path: Path) -> TextTokenizer:
    return TextTokenizer(path, WINDOW)


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
