"""The languages of stemmers and of stop words, and the codes that Qdrant takes for their names.

Source: Qdrant 1.19, lib/segment/src/data_types/index.rs. Both enumerations are there; neither holds the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

STEMMER_CODES: Mapping[str, str] = {
    "ar": "arabic", "hy": "armenian", "da": "danish", "nl": "dutch", "en": "english", "fi": "finnish", "fr": "french",
    "de": "german", "el": "greek", "hu": "hungarian", "it": "italian", "no": "norwegian", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "es": "spanish", "sv": "swedish", "ta": "tamil", "tr": "turkish",
}  # fmt: skip
"""Languages of the Snowball stemmers (`SnowballLanguage`)."""

STOPWORD_CODES: Mapping[str, str] = {
    "ar": "arabic", "az": "azerbaijani", "eu": "basque", "bn": "bengali", "ca": "catalan", "zh": "chinese",
    "da": "danish", "nl": "dutch", "en": "english", "fi": "finnish", "fr": "french", "de": "german", "el": "greek",
    "he": "hebrew", "hi-en": "hinglish", "hu": "hungarian", "id": "indonesian", "it": "italian", "jp": "japanese",
    "kk": "kazakh", "ne": "nepali", "no": "norwegian", "pt": "portuguese", "ro": "romanian", "ru": "russian",
    "sl": "slovene", "es": "spanish", "sv": "swedish", "tg": "tajik", "tr": "turkish",
}  # fmt: skip
"""Languages of the stop words (`Language`)."""


def _stemmer(value: Any) -> Any:
    return STEMMER_CODES.get(value, value) if isinstance(value, str) else value


def _stopwords(value: Any) -> Any:
    return STOPWORD_CODES.get(value, value) if isinstance(value, str) else value


Language = Literal[
    "arabic", "azerbaijani", "basque", "bengali", "catalan", "chinese", "danish", "dutch", "english", "finnish",
    "french", "german", "greek", "hebrew", "hinglish", "hungarian", "indonesian", "italian", "japanese", "kazakh",
    "nepali", "norwegian", "portuguese", "romanian", "russian", "slovene", "spanish", "swedish", "tajik", "turkish",
]  # fmt: skip
SnowballLanguage = Literal[
    "arabic", "armenian", "danish", "dutch", "english", "finnish", "french", "german", "greek", "hungarian", "italian",
    "norwegian", "portuguese", "romanian", "russian", "spanish", "swedish", "tamil", "turkish",
]  # fmt: skip

StopwordsLanguage = Annotated[Language, BeforeValidator(_stopwords)]
StemmerLanguage = Annotated[SnowballLanguage, BeforeValidator(_stemmer)]
