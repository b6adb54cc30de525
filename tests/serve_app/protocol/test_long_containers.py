"""What a long body held is freed, in steps, and only when nobody needs it any more."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from pydantic import BaseModel

from serve_app.protocol import json_pieces, long_containers
from serve_app.protocol.long_containers import LongList, LongObject, free_beside


class Item:
    """Something whose end is seen."""


def filled(kind: Callable[[], Any], number: int) -> tuple[Any, list[weakref.ref[Item]]]:
    items = [Item() for _ in range(number)]
    container = kind()
    if isinstance(container, list):
        container.extend(items)
    else:
        container.update((str(number), item) for number, item in enumerate(items))
    return container, [weakref.ref(item) for item in items]


@pytest.mark.parametrize("kind", [LongList, LongObject])
@pytest.mark.parametrize("number", [0, 1, 16, 17, 5000])
def test_all_items_are_freed(kind: Callable[[], Any], number: int) -> None:
    free_beside()
    container, items = filled(kind, number)
    assert all(item() for item in items)
    del container
    deadline = time.monotonic() + 30
    while any(item() for item in items):
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("kind", [list, dict])
def test_they_are_freed_in_steps(kind: Any) -> None:
    left = []

    class Counting(kind):  # type: ignore[misc]
        def __bool__(self) -> bool:
            left.append(sum(item() is not None for item in items))
            return len(self) > 0

    container, items = filled(Counting, 100)
    long_containers._free(container)
    assert left == [100, 84, 68, 52, 36, 20, 4, 0]


def test_what_somebody_still_needs_is_kept() -> None:
    text = orjson.dumps({"inputs": [{"words": [f"word {number:20}" for number in range(60_000)]}] * 3})
    words = json_pieces.parse(text)["inputs"][1]["words"]
    time.sleep(0.05)
    assert len(words) == 60_000


def test_they_are_lists_and_objects_to_everybody() -> None:
    text = orjson.dumps({"a": [{"b": list(range(200_000))}, 1], "c": {"d": "e" * 100_000}})

    class Model(BaseModel):
        a: list[Any]
        c: dict[str, str]

    read = json_pieces.parse(text)
    assert (type(read["a"][0]["b"]), type(read["a"]), type(read["c"])) == (LongList, LongList, dict)
    assert orjson.dumps(read) == text
    assert orjson.dumps(Model.model_validate(read).model_dump()) == text
