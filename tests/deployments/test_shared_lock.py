from __future__ import annotations

import threading
import time

from deployments.shared_lock import SharedLock


def test_it_is_free_while_nobody_reads() -> None:
    lock = SharedLock()
    with lock.shared():
        assert not lock.is_free
    assert lock.is_free


def test_who_has_it_alone_waits_for_those_before_and_is_waited_for_by_those_after() -> None:
    lock, events = SharedLock(), list[str]()

    def change() -> None:
        with lock.alone():
            events.append("changed")

    def read() -> None:
        with lock.shared():
            events.append("read")

    with lock.shared():
        first = threading.Thread(target=change)
        first.start()
        while not lock._waiting:  # it waits
            time.sleep(0.001)
        second = threading.Thread(target=read)
        second.start()
        events.append("reading")
    first.join(10)
    second.join(10)
    assert events == ["reading", "changed", "read"]
