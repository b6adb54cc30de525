"""The options of BM25, as Qdrant's REST API has them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

from pydantic import BeforeValidator, Field, model_validator
from typing_extensions import override

from deployments.catalogue.records import Options

Language = Literal[
    "arabic", "azerbaijani", "basque", "bengali", "catalan", "chinese", "danish", "dutch", "english", "finnish",
    "french", "german", "greek", "hebrew", "hinglish", "hungarian", "indonesian", "italian", "japanese", "kazakh",
    "nepali", "norwegian", "portuguese", "romanian", "russian", "slovene", "spanish", "swedish", "tajik", "turkish",
]  # fmt: skip
SnowballLanguage = Literal[
    "arabic", "armenian", "danish", "dutch", "english", "finnish", "french", "german", "greek", "hungarian", "italian",
    "norwegian", "portuguese", "romanian", "russian", "spanish", "swedish", "tamil", "turkish",
]  # fmt: skip


class Stopwords(Options):
    """Words to leave out: those of some languages, and some more."""

    languages: list[Language] | None = Field(default=None, max_length=100, fail_fast=True)
    custom: list[str] | None = Field(default=None, max_length=5000, fail_fast=True)


def _as_stopwords(value: Any) -> Any:
    """A language's name alone means the stop words of that language."""
    return {"languages": [value]} if isinstance(value, str) else value


class Snowball(Options):
    """Reduce words to their stems by the rules of a language."""

    type: Literal["snowball"]
    language: SnowballLanguage


class NoStemmer(Options):
    """Leave words as they are."""

    type: Literal["none"]


PREFIX_TOKEN_LEN = 100
"""The longest prefix of a word if nothing is said: the tokenizer `prefix` costs the square of it for each long word."""

_LONGEST_PREFIX = 1000
_PREFIXED_CHARACTERS = 100_000
"""Of a text, each of whose words becomes as many terms as it has letters."""


class Bm25Options(Options):
    """`Bm25Config` of Qdrant's REST API; what is not given has Qdrant's default."""

    k: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    b: float | None = Field(default=None, ge=0, le=1)
    avg_len: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    tokenizer: Literal["prefix", "whitespace", "word", "multilingual"] | None = None
    language: Language | None = None
    lowercase: bool | None = None
    ascii_folding: bool | None = None
    stopwords: Annotated[Stopwords | None, BeforeValidator(_as_stopwords)] = None
    stemmer: Annotated[Union[Snowball, NoStemmer], Field(discriminator="type")] | None = None
    min_token_len: int | None = Field(default=None, ge=0)
    max_token_len: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _short_prefixes(self) -> Bm25Options:
        if self.tokenizer == "prefix" and (self.max_token_len or 0) > _LONGEST_PREFIX:
            raise ValueError(f"max_token_len: with the tokenizer 'prefix' at most {_LONGEST_PREFIX}")
        return self

    @property
    @override
    def text_characters(self) -> int | None:
        return _PREFIXED_CHARACTERS if self.tokenizer == "prefix" else None
