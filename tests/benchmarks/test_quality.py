"""The retrieval check: its judged set, its rankings and its figure; models are not run here."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.quality import by_scores, fused, judged_set, ndcg, sparse_scores
from deployments.contract import SparseVectors
from serve_app.demo.corpus import Docstring

WORDS = " ".join(["word"] * 30)


def docstring(summary: str, rest: str) -> Docstring:
    return Docstring("a.b", "function", "a", f"{summary}\n\n{rest}")


def sparse(*vectors: dict[int, float]) -> SparseVectors:
    return SparseVectors(
        np.array([index for vector in vectors for index in vector], np.uint32),
        np.array([value for vector in vectors for value in vector.values()], np.float32),
        np.cumsum([0, *map(len, vectors)], dtype=np.int64),
    )


def test_each_question_has_one_passage_that_answers_it() -> None:
    judged = judged_set(
        [
            docstring("Return the first of them.", f"one {WORDS}"),
            docstring("Return the first of them.", f"the same summary {WORDS}"),
            docstring("Return the last of them.", f"two {WORDS}"),
            docstring("Has no passage to it.", "short"),
            docstring("Copied from another place once.", f"copied {WORDS}"),
            docstring("Copied from another place twice.", f"copied {WORDS}"),
            docstring("Short.", f"three {WORDS}"),
        ],
        questions=1,
    )
    assert len(judged.questions) == 1
    assert {passage.split()[0] for passage in judged.passages} == {"one", "two"}
    assert judged.passages[0].split()[0] == ("one" if "first" in judged.questions[0] else "two")


def test_a_figure_by_hand() -> None:
    """First place, third place, and beyond the tenth."""
    rankings = [[0, 1, 2], [2, 0, 1], [*range(3, 14), 2]]
    assert ndcg(rankings) == pytest.approx((1 + 0.5 + 0) / 3)


def test_the_highest_score_comes_first() -> None:
    assert by_scores(np.array([[0.1, 0.5, 0.3], [1, 1, 2]], np.float32)) == [[1, 2, 0], [2, 0, 1]]


def test_what_two_rankings_agree_on_comes_first() -> None:
    assert fused([[[5, 7, 9]], [[7, 8, 5]]])[0][:2] == [7, 5]


def test_rare_words_weigh_more_if_the_modifier_says_so() -> None:
    questions, passages = sparse({1: 1.0, 2: 1.0}), sparse({1: 1.0}, {1: 1.0, 2: 0.5}, {2: 2.0}, {1: 2.0})
    assert sparse_scores(questions, passages, idf=False).tolist() == [[1, 1.5, 2, 2]]
    weighed = sparse_scores(questions, passages, idf=True)[0]
    assert weighed[2] > weighed[3]
    assert weighed[0] == pytest.approx(np.log1p(1.5 / 3.5))
