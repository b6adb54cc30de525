"""What is there after a run from an empty cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import kubernetes_programs
from tests.support.kubernetes_programs import DEFINITIONS, PROGRAMS, WITHOUT_PODS


@pytest.mark.parametrize("names", [[], list(PROGRAMS)], ids=["make test-manifests", "make test-kubernetes"])
def test_both_targets_get_the_resource_types_too(
    names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_PROGRAMS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    got: list[str] = []
    for function in ("build", "fetch_definitions"):
        monkeypatch.setattr(kubernetes_programs, function, got.append)
    kubernetes_programs.main(names)
    assert got == [*DEFINITIONS, *(names or WITHOUT_PODS)]
