"""Models that read text: tokens in, one vector a text out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from deployments.catalogue import ModelCard
from deployments.contract import Batch, Floats, Vectors
from deployments.errors import ModelError, ModelFilesError
from deployments.families.chunks import padded_length
from deployments.families.pooling import Lengths
from deployments.families.protocol import Positions, Prepared
from deployments.session import Session

Ids = npt.NDArray[np.int32]
Finish = Callable[[Floats, Lengths], Vectors]
"""Makes vectors of a model's output, whose first axis is the text, and the number of tokens of each text."""


class TextModel:
    """A tokenizer, a model, and what is done with its output."""

    def __init__(self, card: ModelCard, folder: Path, session: Session, finish: Finish) -> None:
        self._window = int(card.context_window or 0)
        self._tokenizer = _open_tokenizer(folder / "tokenizer.json", self._window)
        self._session = session
        self._finish = finish

    def samples(self) -> Sequence[Batch]:
        """One short text, one of a few lines, several of each, and two long ones."""
        shapes = ((1, 7), (1, 40), (16, 7), (8, 40), (2, 250))
        return [Batch(["word " * words] * rows, "search") for rows, words in shapes]

    def prepare(self, batch: Batch) -> Prepared:
        """Tokenize. The part of a text beyond the context window is cut off; the special tokens stay."""
        encodings = self._tokenizer.encode_batch_fast(list(batch.inputs))
        items = [np.array(encoding.ids, np.int32) for encoding in encodings]
        tokens = np.array([len(item) for item in items], np.int64)
        return Prepared(batch, items, tokens, sum(1 for encoding in encodings if encoding.overflowing))

    def run(self, prepared: Prepared, positions: Positions) -> Vectors:
        """The vectors of some of the texts."""
        ids, lengths = self._filled_up([prepared.items[position] for position in positions])
        (output,) = self._session.run({"input_ids": ids, "lengths": lengths})
        return self._finish(output, lengths)

    def _filled_up(self, items: Sequence[Ids]) -> tuple[Ids, Lengths]:
        """Token ids `[rows, padded length]`, filled up with zeros on the right, and the number of tokens of each row.

        No row is longer than the context window: the model may have no more positions.
        """
        lengths = np.array([len(item) for item in items], np.int32)
        ids = np.zeros((len(items), min(padded_length(int(lengths.max())), self._window)), np.int32)
        for row, item in zip(ids, items, strict=True):
            row[: len(item)] = item
        return ids, lengths


def check_window(card: ModelCard, positions: int) -> None:
    """Make sure that a model can read as many tokens as its card says.

    Raises:
        ModelError: it has fewer positions.
    """
    if card.context_window and card.context_window > positions:
        raise ModelError(f"{card.name}: context_window is {card.context_window}, but the model ends at {positions}")


def _open_tokenizer(path: Path, window: int) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing more specific
        raise ModelFilesError(f"{path}: {error}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(window)
    return tokenizer
