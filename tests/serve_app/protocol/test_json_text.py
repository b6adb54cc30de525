"""Bodies that would hold up everybody else are refused before they are read."""

from __future__ import annotations

import time

import pytest

from deployments.errors import MalformedRequest, TooLarge
from serve_app.protocol import json_text

BYTES = 32 * 2**20
"""The most that Qdrant, and so the service, takes in a body."""


@pytest.mark.parametrize("item", [b"[]", b"{}", b"[[]]", b'{"":{}}', b'[{"a":[]}]'])
def test_a_body_of_nothing_but_containers_is_refused_unread(item: bytes) -> None:
    began = time.process_time()
    with pytest.raises(TooLarge, match="1,000,000 objects and arrays"):
        json_text.parse(b"[" + (item + b",") * (BYTES // (len(item) + 1) - 1) + item + b"]")
    assert time.process_time() - began < 0.5, "counting takes a hundredth of that"


@pytest.mark.slow
def test_vectors_and_texts_as_long_as_a_body_may_be_are_read() -> None:
    vectors = b'{"points":[' + b",".join([b'{"id":1,"vector":[' + b"0.1," * 2000 + b"0.1]}"] * 4000) + b"]}"
    assert len(vectors) == pytest.approx(BYTES, rel=0.1)
    assert len(json_text.parse(vectors)["points"]) == 4000
    assert len(json_text.parse(b'["' + b"(a, b), " * (BYTES // 8) + b'"]')[0]) == BYTES


def test_a_body_that_is_not_json_is_refused() -> None:
    with pytest.raises(MalformedRequest, match=r"the body is not JSON: .* at line 2"):
        json_text.parse(b'{"points":\n [')
