"""How the command line talks: one console, errors in one line, Ctrl-C without a traceback."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup
from typing_extensions import override

from deployments.catalogue.faults import plain
from deployments.errors import SetupError, reason

_PIPED_WIDTH = 120
"""Columns if the output goes to a file or another program."""

console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)


@contextmanager
def reported_errors() -> Iterator[None]:
    """Tell the operator's errors, one a line, then what can be done, and end with status 1."""
    try:
        yield
    except SetupError as error:
        _tell(str(error).splitlines(), error.hint)
    except OSError as error:  # of the disk or the network; our own code has a better word where it knows one
        _tell([f"{error.filename}: {reason(error)}" if error.filename else reason(error)])


def _tell(faults: Iterable[str], hint: str = "") -> NoReturn:
    errors = Console(stderr=True, highlight=False)
    for fault in map(_without_numbers, faults):
        errors.print(f"[bold red]error:[/] {escape(fault)}", soft_wrap=True)
    if hint:
        errors.print(escape(hint), soft_wrap=True)
    sys.exit(1)


def _without_numbers(fault: str) -> str:
    """The system's errors without their numbers, which some libraries put before them."""
    return re.sub(r"\[Errno -?\d+\] ", "", fault)


class Commands(TyperGroup):
    """Commands whose wrong options are told in our words, and not in those of typer's pydantic."""

    @override
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = plain(error.message)
            raise


def plural(count: float, one: str, many: str = "") -> str:
    """A count with its noun: `1 GPU`, `2 GPUs`, `0.5 GPUs`."""
    return f"{count:,.12g} {one if count == 1 else many or one + 's'}"


def leave(status: int) -> NoReturn:
    """End this process at once, with all that was said, when nothing is left to be done.

    The usual end of the interpreter is no way out of a start that was interrupted: libraries in C++ whose threads are
    half started crash in it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


@contextmanager
def interruptible() -> Iterator[None]:
    """As `reported_errors`; Ctrl-C ends with status 130."""
    try:
        with reported_errors():
            yield
    except KeyboardInterrupt:
        console.print("stopped")
        sys.exit(130)
