"""docs/scaling.md says what its formulas give."""

from __future__ import annotations

import pytest

from benchmarks.simulation import extrapolation
from deployments.catalogue.catalogue import HOME

PAGE = (HOME / "docs" / "scaling.md").read_text(encoding="utf-8")


def test_the_page_has_the_tables_as_they_are_computed(capsys: pytest.CaptureFixture[str]) -> None:
    extrapolation.main()
    printed = capsys.readouterr().out
    starts = ("| mean", "| peak", "| 384", "| 1024")
    rows = [line for line in printed.splitlines() if line.startswith(starts) or "$" in line]
    assert len(rows) == 7
    for row in rows:
        assert row in PAGE, row
    assert "| 10 | 81 |" in printed
    assert "10 ingress replicas if a tenth of the texts are searches, 81 if all are" in PAGE


def test_twice_the_texts_are_twice_the_hours() -> None:
    (model, *_) = extrapolation.MODELS
    hours = [extrapolation.compute(extrapolation.Day(texts=texts), model)[2] for texts in (1e10, 2e10)]
    assert hours[1] == pytest.approx(2 * int(str(hours[0])), rel=0.01)


def test_the_peak_is_as_in_the_simulated_day() -> None:
    day = extrapolation.Day()
    assert day.peak / day.mean == pytest.approx(2.1, abs=0.05)
