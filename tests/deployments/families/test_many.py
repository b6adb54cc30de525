"""Several kinds of vectors of a text in one run; their numbers are held against transformers in tests/parity."""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from deployments.catalogue.card import HeadCard, head_cards
from deployments.catalogue.catalogue import Catalogue
from deployments.contract import Batch, JoinedVectors
from deployments.errors import ModelError, ModelFilesError
from deployments.families.loading import load_family
from deployments.families.many import ManyVectorsModel
from deployments.kinds import VectorKind
from deployments.networks.session import Session
from deployments.networks.settings import SessionSettings
from deployments.onboarding.in_process import embed
from deployments.onboarding.self_check import self_check
from tests.parity.cases import CASES
from tests.support import tiny, torch_zip

CARD = next(case.card for case in CASES if case.card.name == "random/bge-m3")
CPU = SessionSettings(provider="cpu", precision="float32")
KINDS: tuple[VectorKind, ...] = ("dense", "multivector", "sparse")
TEXTS = ["the capital of text", "", "vectors are text and the capital is of the vectors"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    case = next(case for case in CASES if case.card is CARD)
    return case.folder(tmp_path_factory.mktemp("many") / "checkpoint")


@pytest.fixture(scope="module")
def family(folder: Path) -> Any:
    return load_family(CARD, folder, CPU)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many inputs each run of a network had."""
    counted: list[int] = []
    run = Session.run

    def counting(self: Session, inputs: dict[str, Any], output: str | None = None) -> Any:
        counted.append(len(inputs["input_ids"]))
        return run(self, inputs, output)

    monkeypatch.setattr(Session, "run", counting)
    return counted


def test_all_kinds_come_of_one_run(family: ManyVectorsModel, runs: list[int]) -> None:
    joined = embed(family, Batch(TEXTS, "update", kinds=KINDS)).vectors
    assert len(runs) == 1
    assert isinstance(joined, JoinedVectors)
    for place, kind in enumerate(KINDS):
        alone = embed(family, Batch(TEXTS, "update", kinds=(kind,))).vectors
        for position in range(len(TEXTS)):
            for one, other in zip(_arrays(joined[position][place]), _arrays(alone[position][0]), strict=True):
                assert one == pytest.approx(other, abs=1e-6)


def _arrays(vector: Any) -> list[np.ndarray]:
    return [vector] if isinstance(vector, np.ndarray) else [vector.indices, vector.values]


def test_without_kinds_it_is_a_dense_model(family: ManyVectorsModel) -> None:
    assert embed(family, Batch(TEXTS, "search")).vectors[0].shape == (tiny.HIDDEN,)


def test_special_tokens_have_no_weight_and_the_first_one_no_vector(family: ManyVectorsModel) -> None:
    joined: Any = embed(family, Batch(TEXTS, "update", kinds=("multivector", "sparse"))).vectors
    (ids,) = family.prepare(Batch(TEXTS[:1], "update")).items
    many, sparse = joined[0]
    assert many.shape == (len(ids) - 1, tiny.PROJECTION)
    assert set(sparse.indices.tolist()) <= set(ids[1:-1])
    assert len(joined[1][1].indices) == 0, "the text without words"


def test_each_kind_passes_the_check_of_an_added_model(family: ManyVectorsModel) -> None:
    said = self_check(family, CARD)
    assert [line for line in said if line.startswith("random/bge-m3-sparse, update: sparse")]
    assert [line for line in said if line.startswith(f"random/bge-m3-colbert, search: {tiny.PROJECTION} dimensions")]


def test_ragged_texts_give_the_same(
    folder: Path, family: ManyVectorsModel, on_cuda: AbstractContextManager[None]
) -> None:
    with on_cuda:
        ragged = load_family(CARD, folder, SessionSettings())
    here, there = (embed(each, Batch(TEXTS, "update", kinds=KINDS)).vectors for each in (family, ragged))
    for position in range(len(TEXTS)):
        for one, other in zip(here[position], there[position], strict=True):
            for some, others in zip(_arrays(one), _arrays(other), strict=True):
                assert some == pytest.approx(others, abs=1e-5)


def test_its_names_are_those_of_models_with_one_network() -> None:
    catalogue = Catalogue((CARD,), Path("test.yaml"))
    sparse, many = catalogue.find("random/BGE-m3-sparse", ""), catalogue.find("random/bge-m3-colbert", "")
    assert isinstance(sparse, HeadCard)
    assert (sparse.vector_kind, sparse.dimensions, many.vector_kind, many.dimensions) == (
        "sparse", None, "multivector", tiny.PROJECTION
    )  # fmt: skip
    assert {card.account for card in catalogue} == {card.network for card in catalogue} == {CARD.name}
    assert {card.deployment for card in catalogue} == {"random--bge-m3"}
    assert Catalogue(catalogue.cards, catalogue.path).cards == catalogue.cards
    assert catalogue.only(["random/bge-m3-sparse"]).cards == catalogue.cards, "all of a network"


def test_a_head_may_have_a_name_of_its_own() -> None:
    named = CARD.heads[0].model_copy(update={"name": "ours/words"})
    (head,) = head_cards(CARD.model_copy(update={"heads": (named,)}))
    assert head.name == "ours/words"


def test_layers_may_be_safetensors(folder: Path, tmp_path: Path, family: ManyVectorsModel) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    layer = {key.removeprefix("."): tensor for key, tensor in tiny.Weights().linear("", 1, tiny.HIDDEN).items()}
    save_file(layer, tmp_path / "sparse_linear.safetensors")
    head = CARD.heads[0].model_copy(update={"weights": "sparse_linear.safetensors"})
    other = load_family(CARD.model_copy(update={"heads": (head,)}), tmp_path, CPU)
    one, two = (embed(each, Batch(TEXTS, "update", kinds=("sparse",))).vectors[0][0] for each in (family, other))
    assert two.values == pytest.approx(one.values)


def test_a_layer_that_is_none_or_absent_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    torch_zip.save(tmp_path / "sparse_linear.pt", {"weight": np.zeros((1, tiny.HIDDEN), np.float32)})
    with pytest.raises(ModelError, match="has weight in place of 'weight' and 'bias'"):
        load_family(CARD, tmp_path, CPU)
    (tmp_path / "sparse_linear.pt").unlink()
    with pytest.raises(ModelFilesError, match=r"sparse_linear\.pt"):
        load_family(CARD, tmp_path, CPU)
