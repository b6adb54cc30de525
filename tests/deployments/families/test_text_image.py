"""One name for texts and images; the numbers are held against transformers in tests/parity."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from deployments.contract import Batch, Vectors
from deployments.errors import ModelError
from deployments.families.loading import load_family
from deployments.families.protocol import Family
from deployments.families.token_ids import texts
from deployments.families.tokenizing import TextTokenizer
from deployments.networks.settings import SessionSettings
from deployments.onboarding.in_process import embed
from deployments.onboarding.self_check import self_check
from deployments.replica.work import Work
from tests.parity.cases import CASES, Case
from tests.parity.exported import export
from tests.parity.inputs import images
from tests.support import tiny

SIGLIP = next(case for case in CASES if case.card.name == "random/siglip")
CLIP = next(case for case in CASES if case.card.name == "random/clip")
CPU = SessionSettings(provider="cpu", precision="float32")


def loaded(case: Case, folder: Path) -> Family:
    return load_family(case.card, folder, CPU)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return SIGLIP.folder(tmp_path_factory.mktemp("siglip") / "checkpoint")


@pytest.fixture(scope="module")
def siglip(folder: Path) -> Family:
    return loaded(SIGLIP, folder)


def test_the_kind_of_a_batchs_inputs_tells_the_side(siglip: Family) -> None:
    text = embed(siglip, Batch(["a red disc", "a"], "update"))
    image = embed(siglip, Batch(list(images(tiny.IMAGE)), "search"))
    assert text.vectors[0].shape == image.vectors[0].shape == (tiny.HIDDEN,)
    assert text.tokens.tolist() == [tiny.POSITIONS] * 2, "what fills up a text is read"
    assert image.tokens.tolist() == [(tiny.IMAGE // tiny.PATCH) ** 2] * 3


async def test_texts_and_images_never_share_a_run(siglip: Family) -> None:
    one, other = (Work(siglip, siglip.prepare(Batch(inputs, "search"))) for inputs in (["a"], list(images(tiny.IMAGE))))
    assert one.kind != other.kind


def test_it_passes_the_check_of_an_added_model_on_both_sides(siglip: Family) -> None:
    said = self_check(siglip, SIGLIP.card)
    assert [line for line in said if line.startswith("text, search: the vectors of one alone")]
    assert [line for line in said if line.startswith("image, update: the vectors of one alone")]


def test_token_ids_are_those_without_what_fills_up(siglip: Family) -> None:
    (ids,) = siglip.prepare(Batch(["vector text"], "update")).items
    assert len(ids) < tiny.POSITIONS
    found = texts(siglip, [ids], "siglip", tiny.POSITIONS)
    assert list(siglip.prepare(Batch(found, "update")).items) == [ids]


def test_texts_are_read_in_lower_case_if_the_card_says_so(tmp_path: Path) -> None:
    tiny.byte_pairs().save(str(tmp_path / "tokenizer.json"))
    plain, lower = (TextTokenizer(tmp_path / "tokenizer.json", 32, lowercase=lowercase) for lowercase in (False, True))
    assert plain.encode(["The END"]) != plain.encode(["the end"])
    assert lower.encode(["The END"]) == plain.encode(["the end"])


def test_a_size_that_is_not_the_models_is_refused(folder: Path) -> None:
    card = SIGLIP.card.model_copy(update={"image_size": 32})
    with pytest.raises(ModelError, match="image_size is 32, but the model sees 16"):
        load_family(card, folder, CPU)


def test_ready_files_of_both_sides_give_the_same(tmp_path: Path) -> None:
    folder, ready = CLIP.folder(tmp_path / "checkpoint"), tmp_path / "ready"
    ready.mkdir()
    for side, name in (("clip-text", "text_model.onnx"), ("clip-vision", "vision_model.onnx")):
        case = next(each for each in CASES if each.card.name == f"random/{side}-quick_gelu")
        made = export(case, folder, tmp_path / side)
        (made / "model.onnx").rename(ready / name)
        shutil.copytree(made, ready, dirs_exist_ok=True)
    built, exported = loaded(CLIP, folder), loaded(CLIP, ready)
    for batch in (Batch(["a red disc", "the capital"], "update"), Batch(list(images(tiny.IMAGE)), "update")):
        assert rows(embed(exported, batch).vectors) == pytest.approx(rows(embed(built, batch).vectors), abs=1e-5)


def rows(vectors: Vectors) -> np.ndarray:
    return np.stack([np.asarray(vectors[position]) for position in range(len(vectors))])
