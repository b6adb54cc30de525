"""Protocol Buffers of megabytes, parsed in pieces: a parser keeps the interpreter's lock, as with `json_pieces`.

Parts of a message that are parsed one after the other make the same message as all of it (protobuf.dev, "Encoding",
"Last One Wins"). A field that is longer than a piece is entered, and its message parsed in pieces likewise.
"""

from __future__ import annotations

from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

M = TypeVar("M", bound=Message)

PIECE = 64 * 1024
"""Bytes that take some milliseconds to parse if they are made for it."""

MOST_FIELDS = 500_000
"""Fields that are looked at one by one, which takes half a microsecond each."""

_MOST_DEPTH = 100
"""How deep messages may stand in messages; the parser has the same limit."""

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_MORE = 128
"""The bit of a number's byte after which others come."""
_KEY, _VALUE = 1, 2
"""The fields of an entry of a map."""


class TooManyFieldsError(Exception):
    """A message of megabytes has more than `MOST_FIELDS` in pieces that are looked at."""


def parse(kind: type[M], message: bytes, piece: int = PIECE) -> M:
    """A message from its bytes.

    Raises:
        DecodeError: they are no such message.
        TooManyFieldsError: they would keep all others waiting.
    """
    if len(message) <= piece:
        return kind.FromString(message)
    whole = kind()
    _Pieces(piece).merge(whole, memoryview(message))
    return whole


class _Pieces:
    def __init__(self, size: int) -> None:
        self._size = size
        self._left = MOST_FIELDS
        self._depth = 0

    def merge(self, into: Any, data: memoryview) -> None:
        """Parse a part of a message, and add it to what is there."""
        begin = start = 0
        while start < len(data):
            number, content, end = self._field(data, start)
            if end - content > self._size and _has_parts(known := into.DESCRIPTOR.fields_by_number.get(number)):
                into.MergeFromString(data[begin:start])
                self._enter(into, known, data[content:end])
                begin = end
            elif end - begin >= self._size:
                into.MergeFromString(data[begin:end])
                begin = end
            start = end
        into.MergeFromString(data[begin:])

    def _enter(self, into: Any, field: Any, data: memoryview) -> None:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise DecodeError("messages in messages, without an end")
        held = getattr(into, field.name)
        if field.message_type.GetOptions().map_entry:
            self._enter_map(held, data)
        elif field.is_repeated:
            self.merge(held.add(), data)
        else:
            held.SetInParent()
            self.merge(held, data)
        self._depth -= 1

    def _enter_map(self, held: Any, data: memoryview) -> None:
        """An entry that is long by its value; the last entry of a name counts, as always."""
        entry, values, start = held.GetEntryClass()(), [], 0
        while start < len(data):
            number, content, end = self._field(data, start)
            if number == _KEY:
                entry.MergeFromString(data[start:end])
            elif number == _VALUE:
                values.append(data[content:end])
            start = end
        value = held[entry.key]
        value.Clear()
        for part in values:
            self.merge(value, part)

    def _field(self, data: memoryview, start: int) -> tuple[int, int, int]:
        """The number of a field, and where its content begins and ends; of one that has no length, it is empty."""
        self._left -= 1
        if self._left < 0:
            raise TooManyFieldsError
        tag, at = data[start], start + 1
        if tag >= _MORE:
            tag, at = _varint(data, start)
        wire = tag & 7
        if wire == _LENGTH:
            length, at = _varint(data, at)
            content, end = at, at + length
        elif wire == _VARINT:
            content = end = _varint(data, at)[1]
        elif wire in _SIZES:
            content = end = at + _SIZES[wire]
        else:
            raise DecodeError("a field of a kind that no message has")
        if end > len(data):
            raise DecodeError("a field that ends after its message")
        return tag >> 3, content, end


def _has_parts(field: Any) -> bool:
    """Whether a field holds messages; of a map, the values have to be some."""
    if field is None or not field.message_type:
        return False
    entry = field.message_type
    return not entry.GetOptions().map_entry or bool(entry.fields_by_name["value"].message_type)


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:  # noqa: PLR2004  ten bytes of seven bits
            raise DecodeError("a number that does not end")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < _MORE:
            return value, at
        shift += 7
