"""The options of BM25, as Qdrant's REST API has them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from typing_extensions import override

from deployments.catalogue.languages import StemmerLanguage, StopwordsLanguage
from deployments.catalogue.records import Options


class Lenient(Options):
    """Options of which Qdrant's own code passes over what it does not know."""

    model_config = ConfigDict(extra="ignore")


class Stopwords(Lenient):
    """Words to leave out: those of some languages, and some more."""

    languages: list[StopwordsLanguage] | None = Field(default=None, max_length=100, fail_fast=True)
    custom: list[str] | None = Field(default=None, max_length=5000, fail_fast=True)


def _as_stopwords(value: Any) -> Any:
    """A language's name alone means the stop words of that language."""
    return {"languages": [value]} if isinstance(value, str) else value


class Snowball(Lenient):
    """Reduce words to their stems by the rules of a language."""

    type: Literal["snowball"]
    language: StemmerLanguage


class NoStemmer(Lenient):
    """Leave words as they are."""

    type: Literal["none"]


PREFIX_TOKEN_LEN = 100
"""The longest prefix of a word if nothing is said: the tokenizer `prefix` costs the square of it for each long word."""

_LONGEST_PREFIX = 1000
_PREFIXED_CHARACTERS = 100_000
"""Of a text, each of whose words becomes as many terms as it has letters."""


class Bm25Options(Lenient):
    """`Bm25Config` of Qdrant's REST API; what is not given has Qdrant's default.

    A `language` that Qdrant does not know, as by `none` or a capital letter, means no stemming and no stop words
    (src/common/inference/bm25_inference.rs).
    """

    k: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    b: float | None = Field(default=None, ge=0, le=1)
    avg_len: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    tokenizer: Literal["prefix", "whitespace", "word", "multilingual", "code"] | None = None
    language: str | None = Field(default=None, max_length=100)
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
