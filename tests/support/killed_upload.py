"""A bulk upload that is killed in the middle, and what the store has of it afterwards.

python -m tests.support.killed_upload --rounds 100      the long form: one folder, killed again and again
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from deployments.catalogue.catalogue import HOME
from serve_app.embedded.store import EmbeddedStore
from tests.support.embedded import Rest

SIZE = 20
_UPLOADER = f"""
import itertools, sys
from serve_app.embedded.store import EmbeddedStore
from tests.support.embedded import Rest
rest = Rest(EmbeddedStore(sys.argv[1]))
if not rest.result("GET", "/collections/c/exists")["exists"]:
    rest.result("PUT", "/collections/c", {{"vectors": {{"size": 16, "distance": "Dot"}}}})
    rest.result("PUT", "/collections/c/index", {{"field_name": "n", "field_schema": "integer"}})
for first in itertools.count(int(sys.argv[2]), {SIZE}):
    points = [{{"id": n, "vector": [float(n)] * 16, "payload": {{"n": n}}}} for n in range(first, first + {SIZE})]
    rest.result("PUT", "/collections/c/points", {{"points": points}})
    print(first + {SIZE}, flush=True)
"""


def killed(folder: Path, first: int, answers: int, delay_s: float = 0.0) -> int:
    """Upload points from the number `first` on; how many the store had acknowledged when it was killed.

    It is killed `delay_s` after so many answers, in the middle of a write: whoever reads the answers is late.
    """
    command = [sys.executable, "-c", _UPLOADER, str(folder), str(first)]
    with subprocess.Popen(command, cwd=HOME, stdout=subprocess.PIPE, text=True) as uploader:
        assert uploader.stdout is not None
        acknowledged = [int(uploader.stdout.readline()) for _ in range(answers)]
        time.sleep(delay_s)
        uploader.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in uploader.stdout if line.endswith("\n")]
    return acknowledged[-1]


def missing(rest: Rest, numbers: range) -> list[int]:
    """Those of the points that the store does not have as they were uploaded."""
    found = rest.result("POST", "/collections/c/points", {"ids": list(numbers), "with_vector": True})
    right = {one["id"] for one in found if one["payload"] == {"n": one["id"]} and one["vector"] == [one["id"]] * 16}
    return sorted(set(numbers) - right)


def _round(folder: Path, first: int, choice: random.Random) -> int:
    end = killed(folder, first, choice.randint(1, 30), choice.uniform(0, 0.5))
    store = EmbeddedStore(folder)
    rest = Rest(store)
    lost = [*missing(rest, range(first, end)), *missing(rest, range(min(first, 2000)))]
    count = rest.result(
        "POST", "/collections/c/points/count", {"filter": {"must": [{"key": "n", "range": {"lt": end}}]}}
    )
    store.close()
    assert not lost, f"lost: {lost[:20]}"
    assert count == {"count": end}, count
    return end


def main() -> None:
    """Kill one store again and again; ends with an error if an acknowledged point is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    choice = random.Random(chosen.seed)
    end = 0
    with tempfile.TemporaryDirectory(prefix="qi-killed-") as folder:
        for number in range(chosen.rounds):
            end = _round(Path(folder), end, choice)
            sys.stdout.write(f"round {number + 1}: killed after {end} acknowledged points, none is missing\n")


if __name__ == "__main__":
    main()
