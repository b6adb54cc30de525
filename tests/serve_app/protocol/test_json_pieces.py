"""JSON that is read in pieces is read as in one go, wherever the pieces end."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serve_app.protocol import json_pieces
from serve_app.protocol.json_pieces import MOST_DEPTH, PIECE, NotJsonError, TooManyContainersError

TEXTS = st.one_of(st.sampled_from(["", "a", '"', "\\", '\\"', "],[", "{,}", "\n", "é😀"]), st.text(max_size=5))
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(-1e9, 1e9), TEXTS)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=30)
SIZES = st.integers(1, 60)
DAMAGE = st.sampled_from([",", "[", "]", "{", "}", '"', "\\", " ", ":", "1", "null", '"a":', ""])


def once(text: bytes) -> Any:
    """What one call of the parser makes of it; an error has no message, since places differ in it."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return NotJsonError


def in_pieces(text: bytes, size: int) -> Any:
    try:
        return json_pieces.parse(text, piece=size)
    except NotJsonError:
        return NotJsonError


@settings(max_examples=50, deadline=None)
@given(VALUES, SIZES, st.sampled_from([None, 1]), st.booleans())
def test_a_value_is_the_same(value: Any, size: int, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    read = json_pieces.parse(text, piece=size)
    assert orjson.dumps(read) == orjson.dumps(orjson.loads(text)), "the order of names, too"


@settings(deadline=None)
@given(VALUES, SIZES, st.integers(0, 300), DAMAGE, st.booleans())
@example([1], 1, 2, ",", False)
@example([[1]], 1, 2, ",", False)
@example({"a": {}}, 1, 5, ",", False)
@example([[], []], 1, 1, ",", False)
@example([], 1, 2, "]", False)
@example([1], 1, 3, ",", False)
@example({"a": 1}, 1, 1, '"a":2,', False)
@example({"a": [1]}, 1, 1, '"a":2,', False)
def test_what_is_no_json_is_refused(value: Any, size: int, place: int, damage: str, replaces: bool) -> None:
    text = json.dumps(value)
    place %= len(text) + 1
    damaged = f"{text[:place]}{damage}{text[place + replaces :]}".encode()
    assert in_pieces(damaged, size) == once(damaged)


@pytest.mark.parametrize(
    "text", [b"", b" ", b"1,2", b"[1]]", b"[1", b"{", b'["a', b'"\xff"', b"[1,]", b'{"a":[1],}', b"[,[]]"]
)
@pytest.mark.parametrize("size", [1, 3, PIECE])
def test_damage_of_every_kind(text: bytes, size: int) -> None:
    assert (in_pieces(text, size), once(text)) == (NotJsonError, NotJsonError)


@pytest.mark.parametrize("levels", [MOST_DEPTH, MOST_DEPTH + 1])
def test_nothing_is_nested_deeper_than_the_parser_allows(levels: int) -> None:
    text = b"[1," * levels + b"1" + b"]" * levels
    assert (in_pieces(text, 1) is NotJsonError) == (once(text) is NotJsonError) == (levels > MOST_DEPTH)


LONG_ONES = {
    "words": b'{"a":{"b":[' + b'"word",' * 60_000 + b"1]}}",
    "objects": b"[" + b"{}," * 120_000 + b"1]",
    "names": b"{" + b",".join(b'"%d":1' % number for number in range(40_000)) + b"}",
    "vectors": b"[" + b",".join([b"[" + b",".join([b"0.12345678"] * 1536) + b"]"] * 20) + b"]",
    "commas in texts": b"[" + b'"a,]\\\\\\",",' * 30_000 + b"1]",
    "a long text": b'["' + b'a,\\",' * 60_000 + b'",' + b"{}," * 100_000 + b"1]",
}


@pytest.mark.parametrize("name", LONG_ONES)
def test_no_call_of_the_parser_gets_more_than_a_piece(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = LONG_ONES[name]
    sizes: list[int] = []
    loads = orjson.loads
    monkeypatch.setattr(json_pieces.orjson, "loads", lambda part: sizes.append(len(part)) or loads(part))
    assert json_pieces.parse(text) == loads(text)
    assert max(sizes) <= (300_000 if name == "a long text" else PIECE) + 100


@pytest.mark.parametrize("text", [b'[[],{"a":[{}]}]', b'[["[[{{"],{"a":[1]},{}]'])
@pytest.mark.parametrize("size", [1, PIECE])
def test_containers_are_counted(text: bytes, size: int) -> None:
    assert json_pieces.parse(text, 5, size) == orjson.loads(text)
    with pytest.raises(TooManyContainersError):
        json_pieces.parse(text, 4, size)


def test_an_error_tells_about_where() -> None:
    with pytest.raises(NotJsonError) as caught:
        json_pieces.parse(b"[" + b"1," * PIECE + b"x," + b"1," * PIECE + b"1]")
    assert caught.value.position == pytest.approx(2 * PIECE, abs=PIECE)
