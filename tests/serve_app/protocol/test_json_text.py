"""Bodies that would hold up everybody else are not read to their end."""

from __future__ import annotations

import time

import pytest

from deployments.errors import MalformedRequest, TooLarge
from serve_app.protocol import json_text

LOOKED_AT = json_text._LOOKED_AT
BYTES = 32 * 2**20
"""The most that Qdrant, and so the service, takes in a body."""


@pytest.mark.parametrize("item", [b"[]", b"{}", b"[[]]", b'{"":{}}', b'[{"a":[]}]'])
def test_a_body_of_nothing_but_containers_is_refused(item: bytes) -> None:
    began = time.process_time()
    with pytest.raises(TooLarge, match="250,000 objects and arrays"):
        json_text.parse(b"[" + (item + b",") * (BYTES // (len(item) + 1) - 1) + item + b"]")
    assert time.process_time() - began < 0.5, "the rest is not read"


@pytest.mark.slow
def test_vectors_and_texts_as_long_as_a_body_may_be_are_read() -> None:
    vectors = b'{"points":[' + b",".join([b'{"id":1,"vector":[' + b"0.1," * 2000 + b"0.1]}"] * 4000) + b"]}"
    assert len(vectors) == pytest.approx(BYTES, rel=0.1)
    assert len(json_text.parse(vectors)["points"]) == 4000
    assert len(json_text.parse(b'["' + b"(a, b), " * (BYTES // 8) + b'"]')[0]) == BYTES


@pytest.mark.parametrize("filling", [b"", b"\n" + b"1," * 100_000])
def test_a_body_that_is_not_json_is_refused(filling: bytes) -> None:
    with pytest.raises(MalformedRequest, match=r"the body is not JSON: .* at line [23]"):
        json_text.parse(b'{"points":\n [' + filling)


@pytest.mark.parametrize("place", [0, 1, LOOKED_AT - 7, LOOKED_AT - 1, LOOKED_AT, 2 * LOOKED_AT - 3, 3 * LOOKED_AT - 7])
def test_a_word_is_found_wherever_it_stands(place: int) -> None:
    text = b" " * place + b'"model"' + b" " * (3 * LOOKED_AT - 7 - place)
    assert json_text.contains(text, b'"model"')
    assert not json_text.contains(text, b'"models"')
    assert not json_text.contains(text[:place] + text[place + 1 :], b'"model"')
