"""Quick searches, compared with local mode's own."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client.http import models
from qdrant_client.local.qdrant_local import QdrantLocal

from serve_app.embedded.local.client import Local
from serve_app.embedded.local.sparse_index import SparseIndex

DISTANCES = list(models.Distance)
ODD = models.Filter(must=[models.FieldCondition(key="odd", match=models.MatchValue(value=True))])
HAS_SPARSE = models.Filter(must=[models.HasVectorCondition(has_vector="idf")])


def sparse(rng: np.random.Generator) -> models.SparseVector:
    indices = sorted(rng.choice(30, size=8, replace=False).tolist())
    return models.SparseVector(indices=indices, values=rng.standard_normal(8).tolist())


def fill(local: QdrantLocal) -> None:
    """Sixty points, of which some lack vectors, some are replaced and some deleted."""
    rng = np.random.default_rng(1)
    local.create_collection(
        "c",
        {distance.value: models.VectorParams(size=5, distance=distance) for distance in DISTANCES},
        {"plain": models.SparseVectorParams(), "idf": models.SparseVectorParams(modifier=models.Modifier.IDF)},
    )
    for number in [*range(60), *range(5, 15)]:
        vectors: dict[str, Any] = {name.value: rng.standard_normal(5).tolist() for name in DISTANCES}
        vectors |= {"plain": sparse(rng), "idf": sparse(rng)}
        for name in list(vectors)[: number % 4]:
            del vectors[name]
        local.upsert("c", [models.PointStruct(id=number, vector=vectors, payload={"odd": number % 2 == 1})])
    local.delete("c", [1, 2, 50])
    local.delete_vectors("c", ["idf"], [3, 4])


def found(local: QdrantLocal, **query: Any) -> list[tuple[Any, float]]:
    return [(point.id, point.score) for point in local.query_points("c", **query).points]


@pytest.mark.parametrize(
    ("name", "query_filter", "window"),
    [
        *itertools.product(
            [*(distance.value for distance in DISTANCES), "plain", "idf"],
            [None, ODD, HAS_SPARSE],
            [{"limit": 5}, {"limit": 100}, {"limit": 5, "offset": 7}, {"limit": 100, "score_threshold": 0.5}],
        )
    ],
)
def test_the_nearest_are_those_that_local_mode_finds(
    name: str, query_filter: models.Filter | None, window: dict[str, Any], locals_: tuple[QdrantLocal, Local]
) -> None:
    rng = np.random.default_rng(2)
    vector = sparse(rng) if name in ("plain", "idf") else rng.standard_normal(5).tolist()
    query = {"query": models.NearestQuery(nearest=vector), "using": name, "query_filter": query_filter} | window
    expected, got = (found(local, **query) for local in locals_)
    assert [point_id for point_id, _ in got] == [point_id for point_id, _ in expected]
    assert [score for _, score in got] == pytest.approx([score for _, score in expected], abs=1e-5)


@pytest.fixture(scope="module", params=["as written", "as loaded"])
def locals_(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Local mode in memory, and ours on disk, the latter also after a restart."""
    folder = tmp_path_factory.mktemp("store")
    theirs, ours = QdrantLocal(":memory:"), Local(str(folder))
    fill(theirs)
    fill(ours)
    with ours.collection("c").transaction():
        """Commits what was written before it, too."""
    if request.param == "as loaded":
        ours.close()
        ours = Local(str(folder))
    yield theirs, ours
    ours.close()


def test_postings_follow_rows_that_are_added_and_replaced() -> None:
    rng = np.random.default_rng(3)
    rows, index, query = [sparse(rng) for _ in range(20)], SparseIndex(), sparse(rng)
    for _ in range(3):
        rows[4:6] = [sparse(rng), models.SparseVector(indices=[], values=[])]
        rows += [sparse(rng)]
        index.follow(rows)
        for row, score in zip(rows, index.scores(query), strict=True):
            weights = dict(zip(row.indices, row.values, strict=True))
            shared = [weights[i] * value for i, value in zip(query.indices, query.values, strict=True) if i in weights]
            assert score == pytest.approx(sum(shared), abs=1e-6) if shared else score == -np.inf


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    local = Local(str(tmp_path))
    local.create_collection("c", models.VectorParams(size=1, distance=models.Distance.DOT))

    def fail_after_writing() -> None:
        with local.collection("c").transaction():
            local.upsert("c", [models.PointStruct(id=1, vector=[1.0])])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_writing()
    assert local.count("c").count == 0
    local.close()
