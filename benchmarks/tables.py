"""Results as tables in Markdown, as they stand in README.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks import machine


def show(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; numbers have three digits that count."""
    print(f"\n### {title}\n")
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(_cell(value) for value in row) + " |", flush=True)


def show_machine() -> None:
    """Print what this runs on."""
    print(f"\nMachine: {machine.describe()}.")


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
