"""The console's examples, filled by the page's own code in the Node that Playwright brings."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any

from playwright._impl._driver import compute_driver_executable

from serve_app.console.page import FOLDER

LANGUAGES = ("http", "curl", "python", "typescript", "rust", "java", "csharp", "go")
TEMPLATES = (*LANGUAGES, "openai")

_FILL = """
const { page, address, models, asked } = given;
globalThis.location = new URL("inference/", address);
const { readFileSync } = await import("node:fs");
const { hybridValues, pair, rerankValues, valuesFor } = await import(`${page}/example_values.js`);
const { fill, steps } = await import(`${page}/template.js`);
const { LITERALS } = await import(`${page}/literals.js`);
const filled = ({ name, language: asked, ...how }) => {
  const model = models.find((one) => one.name === name);
  const file = asked.replace("hybrid/", "");
  const language = file.replace("rerank/", "");
  const template = readFileSync(`${page}/examples/${file}.txt`, "utf8");
  const values = asked.startsWith("hybrid/")
    ? hybridValues(pair(model, models), how)
    : asked.startsWith("rerank/") ? rerankValues(model, how) : valuesFor(model, models, how);
  return steps(fill(template, values, LITERALS[language])).map((step) => step.code);
};
return asked.map(filled);
"""
_LITERALS = """
const { LITERALS } = await import(`${given.page}/literals.js`);
return given.texts.map(LITERALS[given.language]);
"""
_AROUND = """
import {{ readFileSync }} from "node:fs";
const run = async (given) => {{ {script} }};
console.log(JSON.stringify(await run(JSON.parse(readFileSync(0)))));
"""


def run_in_node(script: str, given: Any) -> Any:
    """What a script that has `given` returns, in the Node that Playwright brings."""
    node, _ = compute_driver_executable()
    command = [str(node), "--no-warnings", "--input-type=module", "--eval", _AROUND.format(script=script)]
    return json.loads(
        subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=True).stdout
    )


def fill(address: str, models: Sequence[Any], asked: Sequence[Any]) -> list[list[str]]:
    """The codes of each example that is asked for: `name` of the model, `language`, and what `valuesFor` takes.

    A language after `hybrid/` is that of a hybrid example, one after `rerank/` that of a reranker's.
    """
    codes: list[list[str]] = run_in_node(
        _FILL, {"page": str(FOLDER), "address": address, "models": models, "asked": asked}
    )
    return codes


def literals(language: str, texts: Sequence[str]) -> list[str]:
    """What stands between quotes for these texts."""
    written: list[str] = run_in_node(_LITERALS, {"page": str(FOLDER), "language": language, "texts": texts})
    return written
