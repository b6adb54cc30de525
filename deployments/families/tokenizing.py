"""From texts to token ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tokenizers import Encoding, Tokenizer, normalizers

from deployments.contract import Explanation, Pair
from deployments.errors import ModelFilesError, WrongInput
from deployments.families.unicode import well_formed

_CHARACTERS_PER_TOKEN = 10
"""A text of this many characters a token fills a context window nearly always: English has about five."""

_LONGEST_SPECIAL_TOKEN = 32
"""In characters. One that was cut in two is read as at most this many words."""


class PairIds(NamedTuple):
    """The token ids of a pair, of which the `first` ones are of its first part, as the tokenizer divides it."""

    ids: Sequence[int]
    first: int


class TextTokenizer:
    """A tokenizer that cuts texts off at a context window, in tokens with the special ones counted."""

    def __init__(self, path: Path, window: int, *, lowercase: bool = False) -> None:
        """Read a `tokenizer.json`; `lowercase` reads texts so, whatever that says.

        Raises:
            ModelFilesError: it is missing or damaged.
        """
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises nothing more specific
            raise ModelFilesError(f"{path}: {error}") from error
        if lowercase:
            _read_in_lowercase(self._tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(window)
        self._window = window
        self._enough = window * _CHARACTERS_PER_TOKEN

    def encode(self, texts: Sequence[str]) -> tuple[list[list[int]], int]:
        """The token ids of each text, at most a context window of them, and how many texts were longer than that.

        Of a long text only the beginning is read, if that is sure to give the same. A text without any token, of a
        tokenizer that adds none, is read as the first of the vocabulary: networks read something.
        """
        encodings = self._encode(["" if len(text) > self._enough else text for text in texts])
        long = [position for position, text in enumerate(texts) if len(text) > self._enough]
        for position, encoding in zip(long, self._encode_long([texts[each] for each in long]), strict=True):
            encodings[position] = encoding
        ids = [encoding.ids or [0] for encoding in encodings]
        full = (encoding for encoding, row in zip(encodings, ids, strict=True) if len(row) == self._window)
        return ids, sum(1 for encoding in full if encoding.overflowing)

    def encode_pairs(self, pairs: Sequence[Pair]) -> tuple[list[PairIds], int]:
        """The token ids of each pair, at most a context window of them, and how many pairs were longer than that.

        Tokens are cut off the end of the longer part until both fit, and off both by turns once they are equally long
        ("longest_first", the way of transformers, sentence-transformers and text-embeddings-inference).
        """
        beginnings = {text: self._beginning(text) for pair in pairs for text in (pair.query, pair.document)}
        encodings = self._encode([(beginnings[pair.query], beginnings[pair.document]) for pair in pairs])
        for position, (pair, encoding) in enumerate(zip(pairs, encodings, strict=True)):
            is_whole = beginnings[pair.query] is pair.query and beginnings[pair.document] is pair.document
            if not is_whole and _are_equally_long(encoding):
                encodings[position] = self._encode([(pair.query, pair.document)])[0]
        items = [PairIds(encoding.ids or [0], encoding.type_ids.count(0)) for encoding in encodings]
        return items, sum(1 for encoding in encodings if encoding.overflowing)

    def _beginning(self, text: str) -> str:
        """As much of a text as is read of it in any pair, unless the other part is as long; all of a short one."""
        if len(text) <= self._enough:
            return text
        beginning = well_formed(text[: self._enough])
        return beginning if _is_settled(self._tokenizer.encode(beginning)) else text

    def explain(self, texts: Sequence[str], indices: Sequence[Sequence[int]]) -> list[Explanation]:
        """How the tokenizer reads each text, and the tokens with these ids."""
        encodings = self._tokenizer.encode_batch([well_formed(text) for text in texts])
        return [_explanation(encoding, self._words(row)) for encoding, row in zip(encodings, indices, strict=True)]

    def texts(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """The texts that these rows of token ids stand for.

        Raises:
            WrongInput: there is no such token.
        """
        size = self.size
        for row in ids:
            if not all(0 <= number < size for number in row):
                raise WrongInput(f"a token id is not of this model's vocabulary, which ends at {size - 1}")
        texts: list[str] = self._tokenizer.decode_batch([list(row) for row in ids])
        return texts

    def _words(self, ids: Sequence[int]) -> dict[int, str]:
        words = {number: self._tokenizer.id_to_token(number) for number in ids}
        return {number: word for number, word in words.items() if word is not None}

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The tokens with these ids, which are of the vocabulary."""
        return [self._tokenizer.id_to_token(number) or "" for number in ids]

    def token_id(self, token: str) -> int | None:
        """The id of a token of the vocabulary."""
        number: int | None = self._tokenizer.token_to_id(token)
        return number

    @property
    def size(self) -> int:
        """How many tokens there are."""
        size: int = self._tokenizer.get_vocab_size()
        return size

    @property
    def continues(self) -> str | None:
        """How tokens begin that go on with the word before them; None if this tokenizer makes no word pieces."""
        prefix: str | None = getattr(self._tokenizer.model, "continuing_subword_prefix", None)
        return prefix

    def special_ids(self) -> list[int]:
        """The ids of the special tokens."""
        return [number for number, token in self._tokenizer.get_added_tokens_decoder().items() if token.special]

    def first_id(self, text: str) -> int:
        """The id of a text's first token, special ones aside."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids[0]

    def _encode_long(self, texts: list[str]) -> list[Encoding]:
        """As `_encode`, but reads no more than the beginning if that is enough."""
        # Only the slower way to encode numbers the words.
        beginnings = self._tokenizer.encode_batch([well_formed(text[: self._enough]) for text in texts])
        return [
            beginning if _is_settled(beginning) else self._encode([text])[0]
            for text, beginning in zip(texts, beginnings, strict=True)
        ]

    def _encode(self, texts: Sequence[str] | Sequence[tuple[str, str]]) -> list[Encoding]:
        try:
            encodings: list[Encoding] = self._tokenizer.encode_batch_fast(texts)
        except TypeError:  # a text has half of a surrogate pair, which no UTF-8 can hold
            encodings = self._tokenizer.encode_batch_fast([_well_formed(each) for each in texts])
        return encodings


def _read_in_lowercase(tokenizer: Tokenizer) -> None:
    own = [] if tokenizer.normalizer is None else [tokenizer.normalizer]
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *own])


def _well_formed(text: str | tuple[str, str]) -> str | tuple[str, str]:
    return well_formed(text) if isinstance(text, str) else (well_formed(text[0]), well_formed(text[1]))


def _are_equally_long(pair: Encoding) -> bool:
    """Whether both parts of a pair may have been cut; then their lengths decide which one keeps a token more."""
    parts = pair.sequence_ids
    return abs(parts.count(0) - parts.count(1)) <= 1


def _explanation(encoding: Encoding, words: dict[int, str]) -> Explanation:
    special = encoding.special_tokens_mask
    spans = [None if mark else span for mark, span in zip(special, encoding.offsets, strict=True)]
    cut = sum(part.special_tokens_mask.count(0) for part in encoding.overflowing)
    end = max((span[1] for span in spans if span), default=0) if cut else None
    return Explanation(encoding.tokens, spans, end, cut, words)


def _is_settled(encoding: Encoding) -> bool:
    """Whether what was kept of the beginning of a text would be the same if all of the text had been read.

    What follows may change the last word that was read, or a special token that was cut in two, but no word before:
    tokenizers go from left to right, and inside of words. So it is enough that enough words lie beyond the window.
    """
    overflow = encoding.overflowing
    return bool(overflow) and _last_word(overflow[-1]) - _last_word(encoding) > _LONGEST_SPECIAL_TOKEN


def _last_word(encoding: Encoding) -> int:
    """The number of the word that the last token belongs to, special ones aside."""
    return next((word for word in reversed(encoding.word_ids) if word is not None), -1)
