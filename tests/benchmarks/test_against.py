"""Figures of two commits side by side."""

from __future__ import annotations

import pytest

from benchmarks import tables
from benchmarks.against import compared, figures


def printed(capsys: pytest.CaptureFixture[str], *rows: tuple[object, ...], title: str = "Searches") -> str:
    tables.show(title, ("what", "at a time", "p50 ms", "a second"), rows)
    tables.show("Others", ("of", "at a time", "seconds"), [("", 4, 1.5)])
    return capsys.readouterr().out


def test_lines_that_both_have_are_compared_figure_by_figure(capsys: pytest.CaptureFixture[str]) -> None:
    old = figures(printed(capsys, ("bare", 1, "", 100.0), ("REST", 1, 8.0, 1200.0), ("REST", 64, 2.0, 30.0)))
    new = figures(printed(capsys, ("REST", 1, 4.0, 2400.0), ("gRPC", 1, 1.0, 1.0), ("REST", 64, "", 15.0)))
    assert list(old) == ["Searches", "Others"]
    assert list(compared(old["Searches"], new["Searches"])) == [
        ("REST, 1", "p50 ms", 8.0, 4.0, 0.5),
        ("REST, 1", "a second", 1200.0, 2400.0, 2.0),
        ("REST, 64", "a second", 30.0, 15.0, 0.5),
    ]
    assert list(compared(old["Others"], new["Others"])) == [("4", "seconds", 1.5, 1.5, 1.0)]
