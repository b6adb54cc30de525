"""Token ids that somebody sends instead of a text.

Models read texts here: the ids are turned into the text that they stand for, and that is read again. If it is read
as other ids, the caller would get the vector of something else than was sent; so that is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from deployments.contract import Batch
from deployments.errors import WrongInput
from deployments.families.protocol import Family, HasVocabulary

Ids = Sequence[int]


def texts(family: Family, rows: Sequence[Ids], model: str, window: int) -> Sequence[str]:
    """The texts that rows of token ids stand for; `window` is how many tokens the model reads of one.

    Special tokens may stand around a row, as the tokenizer puts them there, and nowhere else.

    Raises:
        WrongInput: the model's tokens have no ids, or not these, or the text of a row is read as other ids.
    """
    if not isinstance(family, HasVocabulary):
        raise WrongInput(f"{model} has no token ids; send texts")
    found = family.texts(rows)
    frame, *read = family.prepare(Batch(["", *found], "update")).items
    for position, (row, again) in enumerate(zip(rows, read, strict=True)):
        if not any(_is_same(row, ids, cut=len(again) >= window) for ids in _unframed(again, len(frame))):
            raise WrongInput(
                f"input: the token ids of item {position} stand for a text that {model} reads as other ids, such as a "
                "part of a word without its beginning, or a special token inside of a text; send the text"
            )
    return found


def _unframed(ids: Ids, frame: int) -> Iterator[Ids]:
    """Ids as they were read, and without the special tokens around them, of which some come first and some last."""
    yield ids
    for before in range(frame + 1):
        yield ids[before : len(ids) - (frame - before)]


def _is_same(sent: Ids, read: Ids, *, cut: bool) -> bool:
    return list(sent[: len(read)]) == list(read) and (cut or len(sent) == len(read))
