"""A cache that callers fill."""

from __future__ import annotations

from deployments.weighed_cache import WeighedCache


def test_what_was_used_last_is_kept_within_the_room() -> None:
    cache: WeighedCache[int, int] = WeighedCache(100)
    made: list[int] = []

    def make(key: int) -> int:
        made.append(key)
        return key

    for key in (1, 2, 3, 4, 1, 5):
        assert cache.get(key, lambda key=key: make(key), 25) == key  # type: ignore[misc]
    assert made == [1, 2, 3, 4, 5]
    cache.get(1, lambda: make(1), 25)
    assert made[-1] == 5, "1 was used after 2, which made room"
    cache.get(2, lambda: make(2), 25)
    assert made[-1] == 2
    assert (len(cache), cache.weight) == (4, 100)


def test_what_would_take_the_room_of_many_is_not_kept() -> None:
    cache: WeighedCache[int, str] = WeighedCache(100)
    assert cache.get(1, lambda: "large", 26) == "large"
    assert (len(cache), cache.weight) == (0, 0)
