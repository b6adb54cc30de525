"""JSON of megabytes, read in pieces: a parser keeps the interpreter's lock, so one call for all of it stops all others.

A piece ends before a comma. What is open there, and so has parts in several pieces, is put together here; all else is
the parser's. numpy finds the brackets, and lets other threads run meanwhile.
"""

from __future__ import annotations

import sys
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from serve_app.protocol.long_containers import Container, LongList, LongObject, as_plain, free_beside

PIECE = 128 * 1024
"""Bytes that take a millisecond to parse, and some if they are made for it."""

_LONG = 256 * 1024
"""Bytes of a container that is freed step by step; what is shorter takes some milliseconds at most."""

MOST_DEPTH = 1024
"""How many containers may be open at once; the parser has the same limit."""

_BLANK = b" \t\r\n"
_QUOTE, _OPEN, _CLOSE = ord('"'), ord("{"), ord("}")
_BRACE = _OPEN - ord("[")
"""The bit that makes a brace of a bracket."""
_BRACKETS = b"[]"


class NotJsonError(Exception):
    """What is wrong, and at which byte, about."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message, position)
        self.message = message
        self.position = position


class TooManyContainersError(Exception):
    """There are more objects and arrays than are allowed."""


def parse(text: bytes | bytearray, most: int = sys.maxsize, piece: int = PIECE) -> Any:
    """The same value as of one call of the parser; what is long is freed step by step.

    Raises:
        NotJsonError: it is not JSON.
        TooManyContainersError: there are more than `most` objects and arrays; the rest was not read.
    """
    free_beside()
    reader, start = _Reader(), 0
    while start < len(text):
        part = _part(text, start, piece)
        most -= part.opened
        if most < 0:
            raise TooManyContainersError
        try:
            reader.take(part, start)
        except orjson.JSONDecodeError as error:
            raise NotJsonError(error.msg, start + error.pos) from error
        start += len(part.text)
    return reader.result(len(text))


class _Ends(Enum):
    """What comes after a run of whole items."""

    PIECE = 0
    CLOSING = 1
    OPENING = 2


class _Event(NamedTuple):
    """A container that begins or ends in a piece and does not do both; `key` is where its name begins and ends."""

    place: int
    ends: _Ends
    key: slice


class _Part(NamedTuple):
    """A piece, how many containers begin in it, and which of these and of others have parts elsewhere."""

    text: bytes
    opened: int
    events: list[_Event]


def _part(text: bytes | bytearray, start: int, size: int) -> _Part:
    """The next piece, which begins in no string and ends before a comma or with the text."""
    block, end = bytes(text[start : start + size]), 0
    places, kinds = _tokens(block)
    if start + size < len(text):
        quotes = places[kinds == _QUOTE]
        end = _commas(block, quotes, len(block) - _TAIL)[-1] or _commas(block, quotes, 1)[-1]
        while not end and start + size < len(text):  # in the midst of something long
            size *= 2
            block = bytes(text[start : start + size])
            places, kinds = _tokens(block)
            end = _commas(block, places[kinds == _QUOTE], 1)[0]
    end = end or len(block)
    count = int(np.searchsorted(places, end))
    return _Part(block[:end], *_events(places[:count], kinds[:count]))


_TAIL = 4096
"""Where a comma is looked for first."""


def _commas(block: bytes, quotes: NDArray[np.intp], begin: int) -> tuple[int, int]:
    """The first and the last comma outside of strings from `begin` on, but not at the block's beginning; 0 for none."""
    begin = max(1, begin)
    commas = np.flatnonzero(np.frombuffer(block, np.uint8)[begin:] == ord(",")) + begin
    commas = commas[np.searchsorted(quotes, commas) % 2 == 0]
    return (int(commas[0]), int(commas[-1])) if len(commas) else (0, 0)


def _tokens(block: bytes) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """Where quotes and brackets stand, and which of them. A quote that is escaped is none."""
    letters = np.frombuffer(block, np.uint8)
    if b"\\" in block:
        letters = _without_escaped(letters)
    braces = letters | _BRACE
    places = np.flatnonzero((braces == _OPEN) | (braces == _CLOSE) | (letters == _QUOTE))
    found = letters[places]
    return places, np.where(found == _QUOTE, found, found | _BRACE)


def _without_escaped(letters: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blanks instead of what follows an odd number of backslashes."""
    slashes = np.flatnonzero(letters == ord("\\"))
    first, last = slashes[np.diff(slashes, prepend=-2) > 1], slashes[np.diff(slashes, append=len(letters) + 1) > 1]
    escaped = last[(last - first) % 2 == 0] + 1
    plain = letters.copy()
    plain[escaped[escaped < len(letters)]] = ord(" ")
    return plain


def _events(places: NDArray[np.intp], kinds: NDArray[np.uint8]) -> tuple[int, list[_Event]]:
    quotes, before = places[kinds == _QUOTE], np.cumsum(kinds == _QUOTE)
    brackets = np.flatnonzero((kinds != _QUOTE) & (before % 2 == 0))
    if not len(brackets):
        return 0, []
    steps = np.where(kinds[brackets] == _OPEN, 1, -1)
    depths = np.cumsum(steps)
    lowest = np.minimum.accumulate(np.concatenate(([0], depths[:-1])))
    stay_open = (steps == 1) & (np.minimum.accumulate(depths[::-1])[::-1] >= depths)
    found = []
    for number in np.flatnonzero((depths < lowest) | stay_open).tolist():
        token = brackets[number]
        begin, end = quotes[before[token] - 2 : before[token]].tolist() or (0, -1)
        ends = _Ends.OPENING if steps[number] == 1 else _Ends.CLOSING
        found.append(_Event(int(places[token]), ends, slice(begin, end + 1)))
    return int(np.count_nonzero(steps == 1)), found


class _Open(NamedTuple):
    """A container that has not ended, the name or place that it has in the one around it, and where it begins."""

    container: Container
    key: Any
    start: int


class _Reader:
    """Puts pieces together."""

    def __init__(self) -> None:
        self._root = LongList()
        self._open = [_Open(self._root, None, 0)]
        self._is_empty = True
        """Whether the innermost open container has nothing yet."""

    def take(self, part: _Part, start: int) -> None:
        """The next piece, and where it begins.

        Raises:
            JSONDecodeError: it does not go on like JSON.
        """
        begin = 0
        for place, ends, key in part.events:
            self._items(part.text[begin:place], ends)
            kind = LongList if part.text[place] in _BRACKETS else LongObject
            if ends is _Ends.OPENING:
                self._push(kind(), part.text[key], start + place)
            else:
                self._pop(kind, start + place)
            begin = place + 1
        self._items(part.text[begin:], _Ends.PIECE)

    def _items(self, run: bytes, ends: _Ends) -> None:
        """Whole items of the innermost container; if one opens after them, its name is the last of them."""
        run = run.strip(_BLANK)
        opens = ends is _Ends.OPENING
        if not run and not (opens and self._is_empty):
            if opens:
                raise _wrong("expected a comma")
            return
        if not self._is_empty:
            if run[:1] != b",":
                raise _wrong("expected a comma")
            run = run[1:]
        container, placeholder = self._open[-1].container, b" null" if opens else b""
        brackets = b"[%b%b]" if isinstance(container, list) else b"{%b%b}"
        items = orjson.loads(brackets % (run, placeholder))
        if not items:
            raise _wrong("expected a value after a comma")
        if isinstance(container, LongObject):
            container.update(items)
        else:
            container.extend(items[:-1] if opens else items)
        self._is_empty = False

    def _push(self, opened: Container, name: bytes, start: int) -> None:
        around: Any = self._open[-1].container
        if isinstance(around, LongObject):
            key = orjson.loads(name)
            around[key] = opened
        else:
            key = len(around)
            around.append(opened)
        self._open.append(_Open(opened, key, start))
        self._is_empty = True
        if len(self._open) > MOST_DEPTH + 1:
            raise _wrong("recursion limit reached")

    def _pop(self, kind: type[Container], end: int) -> None:
        container, key, start = self._open.pop()
        if not self._open or not isinstance(container, kind):
            raise _wrong("unexpected closing bracket")
        if end - start < _LONG:
            around: Any = self._open[-1].container
            around[key] = as_plain(container)
        self._is_empty = False

    def result(self, length: int) -> Any:
        """The value, if it is whole.

        Raises:
            NotJsonError: it is not, or there are several.
        """
        if len(self._open) != 1 or len(self._root) != 1:
            raise NotJsonError("unexpected end of data", length)
        return self._root[0]


def _wrong(message: str) -> orjson.JSONDecodeError:
    return orjson.JSONDecodeError(message, "", 0)
