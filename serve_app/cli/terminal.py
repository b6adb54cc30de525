"""How the command line talks: one console, errors in one line, Ctrl-C without a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from deployments.errors import SetupError

_PIPED_WIDTH = 120
"""Columns if the output goes to a file or another program."""

console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)


@contextmanager
def reported_errors() -> Iterator[None]:
    """Tell the operator's errors in one line, and end with status 1."""
    try:
        yield
    except SetupError as error:
        Console(stderr=True, highlight=False).print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)


@contextmanager
def interruptible() -> Iterator[None]:
    """As `reported_errors`; Ctrl-C ends with status 130."""
    try:
        with reported_errors():
            yield
    except KeyboardInterrupt:
        console.print("stopped")
        sys.exit(130)
