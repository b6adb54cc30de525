"""An honest caller beside the attacks, in a process of its own: how long its requests take.

`python -m tests.attack.others PORT KEY` asks for a collection again and again, and writes for each request when it
began and how many seconds it took, until its input ends.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

_PAUSE_S = 0.002


class Beside(NamedTuple):
    """What somebody else has seen of an attack: seconds at the 99th percentile, without it and beside it."""

    usually: float
    beside: float

    @property
    def ratio(self) -> float:
        return self.beside / self.usually


class HonestCaller:
    """The process, while it runs."""

    def __init__(self, port: int, key: str) -> None:
        command = [sys.executable, "-m", __name__, str(port), key]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._seen: list[tuple[float, float]] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            began, seconds = map(float, line.split())
            self._seen.append((began, seconds))

    def stop(self) -> None:
        self._process.communicate()

    def compared(self, quiet: Sequence[tuple[float, float]], attacked: Sequence[tuple[float, float]]) -> Beside:
        """Requests of quiet times, and those beside an attack."""
        return Beside(self._during(quiet), self._during(attacked))

    def _during(self, spans: Sequence[tuple[float, float]]) -> float:
        """The 99th percentile of the seconds of requests that overlapped one of these spans of `time.monotonic()`."""
        times = sorted(
            seconds
            for began, seconds in self._seen
            if any(began < end and began + seconds > start for start, end in spans)
        )
        return times[min(len(times) - 1, int(len(times) * 0.99))] if times else float("nan")


def main(port: int, key: str) -> None:
    """Ask until the input ends."""
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while not ended.wait(_PAUSE_S):
        began = time.monotonic()
        try:
            connection.request("GET", "/collections/c", headers={"api-key": key})
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            connection.close()
        sys.stdout.write(f"{began} {time.monotonic() - began}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
