"""What a request may ask for: each limit lets through what is on it, and names itself for what is over it."""

from __future__ import annotations

import pytest

from deployments.errors import WrongInput
from serve_app.config.settings import IngressSettings
from serve_app.inference import find_json
from serve_app.inference.bounds import check

LIMITS = IngressSettings(objects=3, images=2, text_characters=5)


def request(*vectors: dict[str, str]) -> list[find_json.Slot]:
    points = [{"id": n, "vector": {"model": "m", **vector}} for n, vector in enumerate(vectors)]
    return find_json.find({"points": points}, "PointInsertOperations")


@pytest.mark.parametrize(
    "vectors", [[], [{"text": "a" * 5}] * 3, [{"image": "a" * 100}] * 2 + [{"text": ""}], [{"object": "a" * 100}]]
)
def test_what_is_within_the_limits_passes(vectors: list[dict[str, str]]) -> None:
    check(request(*vectors), LIMITS)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([{"text": "a"}] * 4, r"the request has 4 inference objects; at most 3 are allowed \(objects\)"),
        ([{"image": "a"}] * 3, r"the request has 3 images; at most 2 are allowed \(images\)"),
        (
            [{"text": "a"}, {"text": "a" * 6}],
            r"points\[1\].vector.text: has 6 characters; at most 5 are allowed \(text_characters\)",
        ),
    ],
)
def test_what_is_over_a_limit_is_refused_with_its_name(vectors: list[dict[str, str]], message: str) -> None:
    with pytest.raises(WrongInput, match=message):
        check(request(*vectors), LIMITS)
