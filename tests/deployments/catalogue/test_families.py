"""One record a family: each is whole, and a new one is a record and a class."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
from pydantic import Field

from deployments.catalogue.bm25_options import Lenient
from deployments.catalogue.card import ModelCard
from deployments.catalogue.catalogue import Catalogue
from deployments.catalogue.families import FAMILIES, FIELDS, Checkpoint, FamilySpec
from deployments.catalogue.options import check_options
from deployments.catalogue.records import Options
from deployments.errors import BadOption
from deployments.families.loading import load_family
from deployments.networks.settings import SessionSettings
from deployments.onboarding.inspection.inspect import DESCRIBE

each_family = pytest.mark.parametrize("spec", FAMILIES.values(), ids=lambda spec: spec.name)

FILLED: dict[str, Any] = {
    "dimensions": 4,
    "context_window": 8,
    "pooling": "mean",
    "projections": ["2_Dense"],
    "matryoshka": [2, 4],
    "instruction": {"form": "Instruct: {instruction}\nQuery: ", "default": "find"},
    "query_weights": "idf.json",
    "log_twice": True,
    "output": "sentence_embedding",
    "markers": {"query": 1, "document": 2},
    "image_size": 16,
    "image_limits": {},
    "image_shape": {"fit": "stretch"},
    "filled_with": 0,
    "lowercase": True,
    "task_ids": {"query": 0, "passage": 1},
    "heads": [{"family": "sparse", "weights": "sparse_linear.pt"}],
    "sources": [{"folder": ".", "files": {"config.json": {}}}],
}


def card_of(spec: FamilySpec) -> ModelCard:
    """A card with no more than a family needs."""
    needed = {name: FILLED[name] for name in spec.needs}
    return ModelCard.model_validate(
        {"name": "ours", "family": spec.name, "licence": "none", "model_card_url": "none", **needed}
    )


@each_family
def test_a_family_names_a_module_that_loads_it(spec: FamilySpec) -> None:
    assert callable(import_module(spec.provider).load)


@each_family
def test_a_familys_fields_are_known(spec: FamilySpec) -> None:
    assert spec.needs | spec.may_have <= FIELDS == set(FILLED)
    assert not spec.needs & spec.may_have
    assert card_of(spec).spec is spec


@each_family
def test_each_option_of_a_family_is_checked(spec: FamilySpec) -> None:
    card = card_of(spec)
    for name in spec.options.model_fields:
        with pytest.raises(BadOption, match=name):
            check_options(card, {name: object()}, "options")
    if issubclass(spec.options, Lenient):
        assert check_options(card, {"nonsense": 1}, "options") == {}
        return
    with pytest.raises(BadOption, match="'ours' has no option 'nonsense'"):
        check_options(card, {"nonsense": 1}, "options")


@each_family
def test_some_precision_suits_everywhere(spec: FamilySpec) -> None:
    assert "float32" not in spec.unsuitable_precisions
    assert all(spec.unsuitable_precisions.values()), "what was measured"


def test_every_checkpoint_is_described_and_read_by_some_family() -> None:
    checkpoints = set(get_args(Checkpoint))
    assert checkpoints == set(DESCRIBE) == {spec.checkpoint for spec in FAMILIES.values() if spec.checkpoint}


def test_the_starter_models_have_every_family_of_which_an_index_has_weights(starter: Catalogue) -> None:
    lacking = {"late-interaction", "cross-encoder", "text-image", "bm42", "minicoil"}
    assert {card.family for card in starter} == set(FAMILIES) - lacking


def test_a_family_that_nobody_knows_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="there is no such family, only dense, sparse, bm25, bm42, minicoil, late-"):
        ModelCard.model_validate({"name": "ours", "family": "densest", "licence": "none", "model_card_url": "none"})


class Loud(Options):
    """The options of a made-up family."""

    volume: int = Field(default=1, ge=0)


def test_a_new_family_is_one_record_and_one_class(monkeypatch: pytest.MonkeyPatch) -> None:
    class Model:
        """A family's class; what its methods do is of no matter here."""

        def __init__(self, card: ModelCard) -> None:
            self.name = card.name

    module = ModuleType("made_up")
    vars(module)["load"] = lambda card, _folder, _settings: Model(card)
    monkeypatch.setitem(sys.modules, "made_up", module)
    spec = FamilySpec(
        name="made-up",
        kind="multivector",
        reads=("image",),
        provider="made_up",
        needs=frozenset({"image_size"}),
        may_have=frozenset({"dimensions"}),
        options=Loud,
    )
    monkeypatch.setitem(FAMILIES, spec.name, spec)
    card = card_of(spec)
    assert (card.vector_kind, card.modality) == ("multivector", "image")
    assert check_options(card, {"volume": 3}, "options") == {"volume": 3}
    family: Any = load_family(card, None, SessionSettings())
    assert family.name == "ours"
    plain = card.model_dump(exclude_defaults=True)
    assert ModelCard.model_validate({**plain, "dimensions": 4}).dimensions == 4
    with pytest.raises(ValueError, match="a made-up model has no 'pooling'"):
        ModelCard.model_validate({**plain, "pooling": "mean"})
    with pytest.raises(ValueError, match="a made-up model needs 'image_size'"):
        ModelCard.model_validate({**plain, "image_size": None})


def test_the_console_names_every_family() -> None:
    page = Path(__file__).parents[3] / "serve_app" / "console" / "page" / "views" / "models.js"
    kinds = page.read_text(encoding="utf-8").partition("const KINDS = {")[2].partition("};")[0]
    assert {line.strip().partition(":")[0].strip('"') for line in kinds.strip().splitlines()} == set(FAMILIES)


@pytest.mark.slow
def test_the_records_import_nothing_heavy() -> None:
    script = (
        "import sys, deployments.catalogue.families\n"
        "assert not {'numpy', 'onnxruntime', 'onnx', 'tokenizers', 'qdrant_edge', 'ray'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
