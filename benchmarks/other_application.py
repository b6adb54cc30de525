"""`qdrant-inference up` for a Serve config that names another application than ours, which the command refuses.

`python -m benchmarks.other_application up --config FILE`
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from serve_app.cli import launcher, main

COMMAND = (sys.executable, "-m", "benchmarks.other_application", "up")


@contextmanager
def taken() -> Iterator[None]:
    """Have a service take such a config."""
    with mock.patch.object(launcher, "check_content"):
        yield


if __name__ == "__main__":
    with taken():
        main.app()
