"""What a fault did, as a row of a Markdown table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_HEAD = """\
| fault | requests | upserts acknowledged | failed | sent again | longest request | good again after | promises |
|---|---|---|---|---|---|---|---|"""


@dataclass
class Row:
    """One fault. Of a fault that lasts, `good_again_s` counts from its end; None where that means nothing."""

    fault: str
    requests: int = 0
    acknowledged: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    sent_again: int = 0
    longest_s: float | None = None
    good_again_s: float | None = None
    broken: list[str] = field(default_factory=list)
    """The promises that were broken."""

    def cells(self) -> Sequence[str]:
        """The row's cells."""
        failed = ", ".join(f"{count} {status}" for status, count in sorted(self.failed.items()))
        counts = str(self.requests), str(self.acknowledged), failed or "none", str(self.sent_again)
        return self.fault, *counts, _seconds(self.longest_s), _seconds(self.good_again_s), _verdict(self.broken)


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


def _verdict(broken: Sequence[str]) -> str:
    return " ".join("; ".join(broken).split()) or "kept"


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    return "\n".join([_HEAD, *(f"| {' | '.join(row.cells())} |" for row in rows)])
