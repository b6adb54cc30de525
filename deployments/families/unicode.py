"""Texts that other libraries take."""

from __future__ import annotations


def well_formed(text: str) -> str:
    r"""A text that can be written as UTF-8.

    JSON escapes such as `\ud83c` may stand for half of a surrogate pair: U+FFFD takes the place of one that is alone,
    as the Unicode Standard recommends (5.22), and two halves that stand together become their character.
    """
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
