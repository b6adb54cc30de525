from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.catalogue.card import Instruction, ModelCard, Prefixes
from deployments.catalogue.catalogue import Catalogue
from deployments.contract import Direction
from deployments.errors import BadOption, InternalError, UnknownModel, WrongInput
from serve_app.inference.fill import fill
from serve_app.inference.objects import InferenceObject, Slot
from serve_app.inference.plan import Group, Recipes, plan
from tests.support.cards import BOTH, CATALOGUE, DENSE, MANY


class Written:
    """The vectors that were put into slots, by place."""

    def __init__(self) -> None:
        self.vectors: dict[str, Any] = {}

    def slot(self, where: str, named: bool = True, **wanted: Any) -> Slot:
        (kind,) = {"text", "image", "object"} & wanted.keys()
        thing = InferenceObject(kind, wanted[kind], wanted.get("model", "org/dense"), wanted.get("options", {}))  # type: ignore[arg-type]
        return Slot(where, thing, named, lambda vector: self.vectors.__setitem__(where, vector))


@pytest.fixture
def written() -> Written:
    return Written()


def planned(direction: Direction, *slots: Slot) -> list[Group]:
    return plan(slots, direction, CATALOGUE)


def test_what_is_known_of_slots_that_say_the_same_is_forgotten_when_models_come_or_go(written: Written) -> None:
    recipes, slot = Recipes(), written.slot("a", text="tea", options={"mrl": 1})
    without = Catalogue(tuple(card for card in CATALOGUE.cards if card.name != "org/dense"), CATALOGUE.path)
    groups = [plan([slot], "search", CATALOGUE, recipes=recipes, any_mrl=True) for _ in range(2)]
    assert [(group.inputs, group.uses[0].mrl) for (group,) in groups] == [(["query: tea"], 1)] * 2
    with pytest.raises(BadOption, match=r"a\.options\.mrl"):
        plan([slot], "search", CATALOGUE, recipes=recipes)
    with pytest.raises(UnknownModel, match="a: no model"):
        plan([slot], "search", without, recipes=recipes, any_mrl=True)


def test_equal_inputs_are_computed_once_whatever_length_is_asked_for(written: Written) -> None:
    (group,) = planned(
        "update",
        written.slot("a", text="one"),
        written.slot("b", text="one", options={"mrl": 2}),
        written.slot("c", text="two"),
        written.slot("d", text="one", model="DENSE"),
    )
    assert group.inputs == ["passage: one", "passage: two"]
    fill(group, [np.array([3, 4, 0, 0], np.float32), np.array([1, 0, 0, 0], np.float32)])
    assert written.vectors["a"].tolist() == [3, 4, 0, 0]
    assert written.vectors["b"] == pytest.approx([0.6, 0.8])
    assert written.vectors["c"].tolist() == [1, 0, 0, 0]
    assert written.vectors["d"] is not None


@pytest.mark.parametrize(
    ("direction", "text", "expected"),
    [
        ("update", "tea", "passage: tea"),
        ("search", "tea", "query: tea"),
        ("update", "passage: tea", "passage: tea"),
        ("search", "passage: tea", "query: passage: tea"),
    ],
)
def test_a_prefix_is_put_by_direction_and_never_twice(
    written: Written, direction: Direction, text: str, expected: str
) -> None:
    (group,) = planned(direction, written.slot("a", text=text))
    assert group.inputs == [expected]


def test_a_whole_number_may_come_as_a_double_and_bm25_passes_over_what_it_does_not_know(written: Written) -> None:
    dense, sparse = planned(
        "update",
        written.slot("a", text="one", options={"mrl": 2.0}),
        written.slot("b", text="one", model="qdrant/bm25", options={"mrl": 2, "min_token_len": 3.0, "k": 1.0}),
    )
    assert dense.uses[0].mrl == 2
    assert dict(sparse.options) == {"min_token_len": 3, "k": 1.0}
    with pytest.raises(BadOption):
        planned("update", written.slot("a", text="one", options={"mrl": 2.5}))


def test_models_and_options_make_groups_of_their_own(written: Written) -> None:
    groups = planned(
        "update",
        written.slot("a", text="one"),
        written.slot("b", text="one", model="qdrant/bm25"),
        written.slot("c", text="one", model="qdrant/bm25", options={"k": 2.0}),
        written.slot("d", text="two", model="Qdrant/BM25", options={"k": 2.0}),
        written.slot("e", image="aGk=", model="org/vision"),
    )
    assert [(group.card.name, len(group.inputs)) for group in groups] == [
        ("org/dense", 1),
        ("qdrant/bm25", 1),
        ("qdrant/bm25", 2),
        ("org/vision", 1),
    ]


def test_an_instruction_stands_before_queries_as_the_model_wants_it(written: Written) -> None:
    told = Instruction(form="Instruct: {instruction}\nQuery: ", default="Find the answer")
    card = DENSE.model_copy(update={"instruction": told, "prefixes": Prefixes(passage="passage: ")})
    catalogue = Catalogue((card,), Path("test.yaml"))
    plain, own = (
        written.slot("here", text="tea", options=options) for options in ({}, {"instruction": "Find {a} recipe"})
    )
    (group,) = plan([plain, own], "search", catalogue)
    assert group.inputs == ["Instruct: Find the answer\nQuery: tea", "Instruct: Find {a} recipe\nQuery: tea"]
    (group,) = plan([plain], "update", catalogue)
    assert group.inputs == ["passage: tea"]
    with pytest.raises(BadOption, match=r"here\.options\.instruction: it is for texts to search with"):
        plan([own], "update", catalogue)
    with pytest.raises(BadOption, match="expected a string"):
        plan([written.slot("here", text="tea", options={"instruction": 1})], "search", catalogue)
    with pytest.raises(BadOption, match="has no option 'instruction'"):
        plan([own], "search", CATALOGUE)


def test_only_vectors_of_models_that_were_trained_for_it_are_cut(written: Written) -> None:
    slot = written.slot("here", text="tea", options={"mrl": 1})
    with pytest.raises(BadOption, match=r"here\.options\.mrl: org/dense was trained for 2 or more; .*'any_mrl'"):
        plan([slot], "update", CATALOGUE)
    untrained = Catalogue((DENSE.model_copy(update={"matryoshka": ()}),), Path("test.yaml"))
    with pytest.raises(BadOption, match="was not trained to be cut"):
        plan([written.slot("here", text="tea", options={"mrl": 3})], "update", untrained)
    plan([written.slot("here", text="tea", options={"mrl": 4})], "update", untrained)
    (group,) = plan([slot], "update", untrained, any_mrl=True)
    assert group.uses[0].mrl == 1


@pytest.mark.parametrize(
    ("wanted", "error", "said"),
    [
        ({"text": "a", "model": "org/dens"}, UnknownModel, "available: org/dense, "),
        ({"object": {"a": 1}}, WrongInput, "'object' is reserved"),
        ({"image": "aGk="}, WrongInput, "takes 'text', not 'image'"),
        ({"text": "a", "model": "org/vision"}, WrongInput, "takes 'image', not 'text'"),
        ({"text": 5}, WrongInput, "expected a string"),
        ({"text": "a", "options": {"mrl": 5}}, BadOption, "from 1 to 4"),
        ({"text": "a", "options": {"mrl": 0}}, BadOption, "from 1 to 4"),
        ({"text": "a", "options": {"mrl": True}}, BadOption, "from 1 to 4"),
        ({"text": "a", "options": {"mrl": "2"}}, BadOption, "from 1 to 4"),
        ({"text": "a", "options": {"colour": 1}}, BadOption, "colour"),
        ({"text": "a", "model": "qdrant/bm25", "options": {"k": "much"}}, BadOption, "k"),
        ({"image": "aGk=", "model": "org/vision", "options": {"kk": 1.0}}, BadOption, "kk"),
    ],
)
def test_what_cannot_be_computed_is_refused_with_its_place(
    written: Written, wanted: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        planned("update", written.slot("points[3].vector", **wanted))
    assert "points[3].vector" in str(caught.value.args[0])
    assert said in str(caught.value.args[0])


def test_a_sparse_vector_needs_a_name(written: Written) -> None:
    """Known before anything is computed."""
    with pytest.raises(WrongInput, match="name the vector"):
        planned("update", written.slot("points[0].vector", named=False, text="a", model="qdrant/bm25"))


def test_a_missing_vector_is_an_error_and_never_a_guess(written: Written) -> None:
    (group,) = planned("update", written.slot("a", text="one"), written.slot("b", text="two"))
    with pytest.raises(InternalError):
        fill(group, [np.zeros(4, np.float32)])


def test_names_are_found_in_any_case() -> None:
    find: Callable[[str], ModelCard] = lambda name: CATALOGUE.find(name, "query")  # noqa: E731
    assert find("ORG/Dense") is find("dense") is DENSE


@pytest.mark.parametrize("options", [{"k": "x" * 20_000}, {"x" * 20_000: 1}, {"stopwords": {"custom": ["a"] * 9000}}])
def test_options_that_no_model_has_use_for_are_refused_by_their_size(written: Written, options: Any) -> None:
    slot = written.slot("points[3].vector", text="tea", model="qdrant/bm25", options=options)
    with pytest.raises(BadOption, match=r"points\[3\].vector.options: have more than 16384 bytes as JSON") as caught:
        plan([slot], "update", CATALOGUE)
    assert len(caught.value.message) < 200


def test_options_that_are_nested_too_deep_are_the_callers_fault(written: Written) -> None:
    options: Any = {}
    for _ in range(500):
        options = {"k": options}
    with pytest.raises(BadOption):
        plan([written.slot("here", text="tea", model="qdrant/bm25", options=options)], "update", CATALOGUE)


def test_a_text_is_shorter_where_its_options_cost_more(written: Written) -> None:
    long = "tea " * 30_000
    plan([written.slot("here", text=long, model="qdrant/bm25", options={"tokenizer": "word"})], "update", CATALOGUE)
    with pytest.raises(WrongInput, match=r"here.text: has 120000 characters; at most 100000 are allowed with its"):
        plan(
            [written.slot("here", text=long, model="qdrant/bm25", options={"tokenizer": "prefix"})], "update", CATALOGUE
        )


def test_a_model_of_texts_and_images_has_a_group_of_each(written: Written) -> None:
    catalogue = Catalogue((BOTH,), Path("test.yaml"))
    same = [written.slot("a", text="aGk=", model="org/both"), written.slot("b", image="aGk=", model="org/both")]
    texts, images = plan(same, "search", catalogue)
    assert (texts.reads, texts.inputs) == ("text", ["find: aGk="])
    assert (images.reads, images.inputs) == ("image", ["aGk="]), "a prefix is for texts"
    with pytest.raises(WrongInput, match="'object' is reserved"):
        plan([written.slot("c", object={}, model="org/both")], "search", catalogue)


def test_a_network_is_asked_once_for_all_kinds_of_a_text(written: Written) -> None:
    catalogue = Catalogue((MANY,), Path("test.yaml"))
    slots = [
        written.slot("a", text="one", model="org/many", options={"mrl": 2}),
        written.slot("b", text="one", model="org/many-sparse"),
        written.slot("c", text="one", model="org/many-colbert"),
        written.slot("d", text="two", model="org/many"),
        written.slot("e", text="three", model="org/many-sparse"),
        written.slot("f", text="two", model="org/many"),
    ]
    groups = {group.kinds: group for group in plan(slots, "update", catalogue)}
    assert {kinds: group.inputs for kinds, group in groups.items()} == {
        ("dense", "multivector", "sparse"): ["passage: one"],
        (): ["passage: two"],
        ("sparse",): ["passage: three"],
    }
    assert {group.card.name for group in groups.values()} == {"org/many"}
    three: Any = (np.array([3, 4, 0, 0], np.float32), "many", "sparse")
    fill(groups["dense", "multivector", "sparse"], [three])
    assert written.vectors["a"] == pytest.approx([0.6, 0.8])
    assert (written.vectors["b"], written.vectors["c"]) == ("sparse", "many")


@pytest.mark.parametrize(
    ("wanted", "named", "said"),
    [
        ({"model": "org/many-sparse"}, False, "org/many-sparse gives sparse vectors"),
        ({"model": "org/many-sparse", "options": {"mrl": 2}}, True, "org/many-sparse has no vectors of a length"),
    ],
)
def test_what_is_wrong_for_a_kind_is_said_with_its_name(
    written: Written, wanted: dict[str, Any], named: bool, said: str
) -> None:
    with pytest.raises((WrongInput, BadOption), match=said):
        plan([written.slot("a", named, text="one", **wanted)], "update", Catalogue((MANY,), Path("test.yaml")))
