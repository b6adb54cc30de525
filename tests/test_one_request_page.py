"""docs/one-request.md holds what a run left behind, and nothing that is there no more."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks import one_request
from tests.support.observability_page import table

PAGE = (Path(__file__).parent.parent / "docs" / "one-request.md").read_text(encoding="utf-8")


def block(name: str) -> str:
    found = re.search(rf"<!-- made: {name} -->\n```\w+\n(.*?)\n```", PAGE, re.DOTALL)
    assert found, name
    return found.group(1)


def test_the_answer_finds_the_recipe_and_tells_its_tokens() -> None:
    answer = json.loads(block("answer"))
    assert answer["result"]["points"][0]["payload"]["text"].startswith("Recipe")
    told = answer["usage"]["inference"]["models"]
    assert {model: usage["tokens"] for model, usage in told.items()} == json.loads(block("log"))["tokens"]


def test_the_log_line_holds_the_callers_id_and_no_text() -> None:
    line = json.loads(block("log"))
    assert (line["request_id"], line["status"], line["operation"]) == (one_request.REQUEST, "200", "search")
    assert "cookies" not in block("log")


def test_the_stages_of_the_log_are_those_of_the_trace() -> None:
    spans = set(re.findall(r" ms +(\w+)$", block("trace"), re.MULTILINE))
    assert {stage.split()[0] for stage in json.loads(block("log"))["stages"]} == spans


def test_every_metric_is_one_of_the_observability_page() -> None:
    names = {re.sub(r"_(sum|count)$", "", line.split("{")[0]) for line in block("metrics").splitlines()}
    known = {re.sub(r"_(sum|count)$", "", name) for name in table()}
    assert names
    assert names <= known


def test_blocks_are_replaced_and_a_missing_one_is_told() -> None:
    page = "a\n<!-- made: x -->\n```json\nold\n```\nb"
    assert one_request.filled(page, {"x": "new\\1"}) == "a\n<!-- made: x -->\n```json\nnew\\1\n```\nb"
    with pytest.raises(ValueError, match="0 blocks 'y'"):
        one_request.filled(page, {"y": ""})
