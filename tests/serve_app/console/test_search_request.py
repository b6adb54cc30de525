"""What a search asks for, and what is read of the payloads of strangers."""

from __future__ import annotations

from typing import Any

from serve_app.console.page import FOLDER
from tests.support.examples import run_in_node

ASKED: dict[str, Any] = {
    "isPicture('data:image/png;base64,AAAA')": True,
    "isPicture('data:image/svg+xml;base64,AAAA')": False,
    "isPicture('data:text/html;base64,AAAA')": False,
    "isPicture('https://example.org/a.png')": False,
    "isPicture('data:image/png;base64,' + 'A'.repeat(300000))": False,
    "filterOf([{field: 'a b', kind: 'string', how: 'contains', text: 'x'}])": {
        "must": [{"key": '"a b"', "match": {"text": "x"}}]
    },
    "filterOf([{field: 'n', kind: 'number', how: '=', text: 'x'}])": None,
    "filterOf([{field: 's', kind: 'string', how: 'is', text: ''}])": None,
    'Object.keys(fieldsOf([{payload: JSON.parse(\'{"__proto__": 1, "constructor": "x", "deep": {}}\')}]))': [
        "__proto__",
        "constructor",
    ],
    "Object.keys(fieldsOf([{payload: Object.fromEntries([...Array(500)].map((_, n) => [`f${n}`, n]))}])).length": 24,
    "samplesOf([{payload: {text: `${'long '.repeat(40)}. And more.`}}])": [" ".join(["long"] * 12)],
    "samplesOf([{payload: {}}, {payload: null}])": [],
}
SCRIPT = "const { fieldsOf, filterOf, isPicture, samplesOf } = await import(`${given}/playground/search_request.js`);"


def test_what_is_read_of_payloads_is_bounded_and_is_no_code() -> None:
    """One run of Node for all."""
    answers = run_in_node(f"{SCRIPT} return [{', '.join(f'({one}) ?? null' for one in ASKED)}];", str(FOLDER))
    assert dict(zip(ASKED, answers, strict=True)) == ASKED
