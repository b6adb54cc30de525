"""What models make of some inputs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from serve_app.api.management import playground
from serve_app.api.management.schema.base import Answered, Operation, Operations, Shape, answered
from serve_app.api.management.schema.errors import REFUSED


class PlaygroundQuestion(playground.Question):
    """Inputs, and the models to try them on."""


class Token(Shape):
    """A token, and where it stands in the text. Special tokens and those of a prefix stand nowhere."""

    text: str
    start: int | None
    end: int | None


class Sparse(Shape):
    """A sparse vector."""

    indices: list[int]
    values: list[float]
    words: list[str | None]
    """what each index stands for; null if unknown"""


class Multivector(Shape):
    """A vector for each token."""

    shape: Annotated[list[int], Field(min_length=2, max_length=2)]
    rows: list[list[float]]


class Output(Shape):
    """What a model makes of an input: a vector of one kind; the other kinds are null."""

    input: int
    """its place in `inputs`"""
    tokens: list[Token] | None
    """null for images. Special tokens and those of a prefix have no offsets."""
    truncated_at: int | None
    """offset where the model stopped reading; null if it read all"""
    tokens_cut: int
    """tokens beyond that"""
    error: str | None
    """what is wrong with this input; it has no vector then"""
    dense: list[float] | None
    sparse: Sparse | None
    multivector: Multivector | None


class ModelOutputs(Shape):
    """What a model makes of the inputs that it reads."""

    model: str
    time_ms: float
    tokens: int
    error: str | None
    outputs: list[Output]


class Playground(Shape):
    """One answer for each model, in the order of the question."""

    models: list[ModelOutputs]


class PlaygroundAnswer(Answered):
    """What models make of some inputs."""

    result: Playground


_SPECIAL = {"start": None, "end": None}
_WORDS = [
    {"text": "chocolate", "start": 0, "end": 9},
    {"text": "chip", "start": 10, "end": 14},
    {"text": "cookies", "start": 15, "end": 22},
]
_EXAMPLE = answered(
    {
        "models": [
            {
                "model": "sentence-transformers/all-minilm-l6-v2",
                "time_ms": 4.2,
                "tokens": 5,
                "error": None,
                "outputs": [
                    {
                        "input": 0,
                        "tokens": [{"text": "[CLS]", **_SPECIAL}, *_WORDS, {"text": "[SEP]", **_SPECIAL}],
                        "truncated_at": None,
                        "tokens_cut": 0,
                        "error": None,
                        "dense": [0.021, -0.113, 0.07],
                        "sparse": None,
                        "multivector": None,
                    }
                ],
            },
            {
                "model": "qdrant/bm25",
                "time_ms": 1.1,
                "tokens": 3,
                "error": None,
                "outputs": [
                    {
                        "input": 0,
                        "tokens": _WORDS,
                        "truncated_at": None,
                        "tokens_cut": 0,
                        "error": None,
                        "dense": None,
                        "sparse": {
                            "indices": [112174620, 177304315, 771857363],
                            "values": [1.0, 1.0, 1.0],
                            "words": ["cookies", "chocolate", "chip"],
                        },
                        "multivector": None,
                    }
                ],
            },
            {
                "model": "starter/splade-tiny",
                "time_ms": 0.3,
                "tokens": 0,
                "error": "inference is switched off for the model 'starter/splade-tiny'",
                "outputs": [],
            },
        ]
    },
    0.006,
)

OPERATIONS: Operations = {
    ("post", "/inference/playground"): Operation(
        tag="console",
        summary="What models make of some inputs",
        description=(
            "Any credential. Counts as usage (operation `playground`). Each of `models` embeds all inputs that it can "
            "read (others are left out: texts for a vision model). A failure of one model is its `error`; the other "
            "models answer.\n\n"
            "Offsets count Unicode code points of the input as it was sent (in JavaScript: `Array.from(text)`)."
        ),
        question=PlaygroundQuestion,
        questions={
            "": {
                "inputs": [{"text": "chocolate chip cookies"}, {"image": "iVBORw0KGgo..."}],
                "models": ["sentence-transformers/all-minilm-l6-v2", "qdrant/bm25", "starter/splade-tiny"],
                "direction": "search",
            }
        },
        answer=PlaygroundAnswer,
        means="One output for each model and input that it read, in the order of `models`, then of `inputs`.",
        example=_EXAMPLE,
        tells_quotas=True,
        refusals=REFUSED,
    )
}
