"""This software against transformers and fastembed.

On every machine with what they gave when it was stored; where they are installed, with what they give now.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from deployments.networks import opening
from deployments.networks.alone import alone
from deployments.networks.session import Session, _processor_has_bfloat16, open_session
from deployments.networks.settings import SessionSettings
from tests.parity.cases import CASES, Case
from tests.parity.exported import export
from tests.parity.ours import as_rows, load, ours
from tests.parity.references import LIBRARIES, absent, live, stored
from tests.parity.table import difference, lowest_cosine

pytestmark = pytest.mark.slow

HAS_OPENVINO = "OpenVINOExecutionProvider" in onnxruntime.get_available_providers()
CPU = SessionSettings(provider="cpu", precision="float32")

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_library = pytest.mark.parametrize("library", LIBRARIES)
needs_openvino = pytest.mark.skipif(not HAS_OPENVINO, reason="the installed onnxruntime has no OpenVINO")
needs_bfloat16 = pytest.mark.skipif(not _processor_has_bfloat16(), reason="the processor has no bfloat16")
trained = pytest.mark.parametrize("case", [case for case in CASES if case.write is None], ids=lambda case: case.name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Path]:
    """The folder of a case's checkpoint."""
    made: dict[str, Path] = {}

    def make(case: Case) -> Path:
        if case.name not in made:
            made[case.name] = case.folder(tmp_path_factory.mktemp("case") / "checkpoint")
        return made[case.name]

    return make


def assert_equals_references(case: Case, found: np.ndarray) -> None:
    for library in case.libraries:
        assert difference(found, stored(library, case)) < (1e-5 if case.is_of_words else 1e-4)


@each_case
def test_a_checkpoint_equals_the_references(case: Case, folder: Callable[[Case], Path]) -> None:
    assert_equals_references(case, ours(case, folder(case), CPU))


@needs_openvino
@each_case
def test_a_checkpoint_equals_the_references_on_openvino(case: Case, folder: Callable[[Case], Path]) -> None:
    settings = SessionSettings(provider="openvino", precision="float32")
    assert_equals_references(case, ours(case, folder(case), settings))


@pytest.mark.parametrize("case", [case for case in CASES if "fastembed" in case.libraries], ids=lambda case: case.name)
def test_a_ready_onnx_file_equals_the_references(case: Case, folder: Callable[[Case], Path], tmp_path: Path) -> None:
    assert_equals_references(case, ours(case, export(case, folder(case), tmp_path / "ready"), CPU))


@pytest.mark.filterwarnings("default")
@each_library
@each_case
def test_a_reference_is_what_its_library_gives_now(
    case: Case, library: str, folder: Callable[[Case], Path], tmp_path: Path
) -> None:
    if library not in case.libraries:
        pytest.skip(f"{library} has no such models")
    if absent(library):
        pytest.skip(f"{', '.join(absent(library))} not installed")
    assert difference(live(library, case, folder(case), tmp_path / "ready"), stored(library, case)) < 1e-5


@needs_openvino
@needs_bfloat16
@trained
def test_what_is_chosen_by_itself_keeps_the_cosine(case: Case, folder: Callable[[Case], Path]) -> None:
    found = ours(case, folder(case), SessionSettings(provider="openvino", precision="auto"))
    cosine = min(lowest_cosine(found, stored(library, case)) for library in case.libraries)
    assert cosine > 0.9999
    assert "bfloat16" in case.card.spec.unsuitable_precisions or cosine < 1 - 1e-6, "this was not bfloat16"


@trained
def test_float16_weights_keep_the_cosine(
    case: Case, folder: Callable[[Case], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CPU provider computes in float32 what it has no float16 for, so this is the error of the weights alone."""

    def half(build: Callable[..., bytes], settings: SessionSettings, *_: object) -> Session:
        return open_session(lambda _: build(np.float16), settings)

    monkeypatch.setattr(opening, "open_session", half)
    found = ours(case, folder(case), CPU)
    for library in case.libraries:
        assert lowest_cosine(found, stored(library, case)) > 0.9999
        assert difference(found, stored(library, case)) > 1e-5, "this was not float16"


@each_case
def test_neighbours_and_their_order_change_nothing(case: Case, folder: Callable[[Case], Path]) -> None:
    """Alone, with one thread and with all, all in one padded chunk, and the other way round in small chunks."""
    inputs, embed = list(case.inputs), load(case, folder(case), CPU.model_copy(update={"threads": 2}))
    together, backwards = embed(inputs, budget=10**6), embed(inputs[::-1], budget=64)
    for position, each in enumerate(inputs):
        by_itself = as_rows(case, embed([each])[0])
        with alone():
            wide = embed([each])[0]
        for other in (wide, together[position], backwards[len(inputs) - 1 - position]):
            assert difference(by_itself, as_rows(case, other)) < 1e-5
