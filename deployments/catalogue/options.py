"""The options that models take beside their input. The gateway checks them too, so nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from deployments.catalogue.card import ModelCard
from deployments.catalogue.records import explain
from deployments.errors import BadOption

Language = Literal[
    "arabic", "azerbaijani", "basque", "bengali", "catalan", "chinese", "danish", "dutch", "english", "finnish",
    "french", "german", "greek", "hebrew", "hinglish", "hungarian", "indonesian", "italian", "japanese", "kazakh",
    "nepali", "norwegian", "portuguese", "romanian", "russian", "slovene", "spanish", "swedish", "tajik", "turkish",
]  # fmt: skip
SnowballLanguage = Literal[
    "arabic", "armenian", "danish", "dutch", "english", "finnish", "french", "german", "greek", "hungarian", "italian",
    "norwegian", "portuguese", "romanian", "russian", "spanish", "swedish", "tamil", "turkish",
]  # fmt: skip


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Stopwords(_Options):
    """Words to leave out: those of some languages, and some more."""

    languages: list[Language] | None = None
    custom: list[str] | None = None


def _as_stopwords(value: Any) -> Any:
    """A language's name alone means the stop words of that language."""
    return {"languages": [value]} if isinstance(value, str) else value


class Snowball(_Options):
    """Reduce words to their stems by the rules of a language."""

    type: Literal["snowball"]
    language: SnowballLanguage


class NoStemmer(_Options):
    """Leave words as they are."""

    type: Literal["none"]


class Bm25Options(_Options):
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


class _None(_Options):
    pass


def check_options(card: ModelCard, options: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A model's own options as plain values, without those that are null.

    Raises:
        BadOption: names `where` in the request, the option, and what is allowed.
    """
    known: type[_Options] = Bm25Options if card.family == "bm25" else _None
    unknown = [name for name in options if name not in known.model_fields]
    if unknown:
        allowed = ", ".join(known.model_fields) or "none"
        raise BadOption(f"{where}: '{card.name}' has no option '{unknown[0][:100]}'; its options: {allowed}")
    try:
        return known.model_validate(dict(options)).model_dump(exclude_none=True)
    except ValidationError as error:
        raise BadOption(f"{where}: {explain(error)}") from error
