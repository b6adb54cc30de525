from __future__ import annotations

from serve_app.ledger.counts import OTHERS, Count, Counts, Key


def key(tenant: str, hour: int = 1) -> Key:
    return Key(hour, "m", tenant, "search")


def test_what_is_counted_under_one_key_adds_up() -> None:
    counts = Counts()
    counts.add(key("a"), Count(1, 2, 3, 1))
    counts.add(key("a"), Count(1, 1, 1, 1))
    counts.add(key("b"), Count(1, 1, 1, 1))
    assert dict(counts) == {key("a"): Count(2, 3, 4, 2), key("b"): Count(1, 1, 1, 1)}


def test_memory_is_bounded_and_no_token_is_forgotten() -> None:
    counts = Counts(room=10)
    for number in range(1000):
        counts.add(key(f"tenant-{number}", hour=number), Count(1, 1, 2, 1))
    assert len(counts) == 11
    assert dict(counts)[key(OTHERS, hour=0)] == Count(990, 990, 1980, 990)
    assert counts.tokens == 2000


def test_tenants_that_are_there_keep_their_own_count_when_there_is_no_room() -> None:
    counts = Counts(room=1)
    counts.add(key("a"), Count(1, 1, 1, 1))
    counts.add(key("b"), Count(1, 1, 1, 1))
    counts.add(key("a"), Count(1, 1, 1, 1))
    assert dict(counts)[key("a")] == Count(2, 2, 2, 2)


def test_counts_can_be_put_together() -> None:
    counts, more = Counts(), Counts()
    counts.add(key("a"), Count(1, 1, 1, 1))
    more.add(key("a"), Count(1, 1, 1, 1))
    counts.add_all(more)
    assert dict(counts) == {key("a"): Count(2, 2, 2, 2)}
