"""A name that somebody gave to a model, a collection or a vector stays a text in every example, whatever is in it."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from serve_app.console.page import FOLDER
from tests.support.examples import LANGUAGES, TEMPLATES, fill, literals

NASTY = [
    "plain",
    "it's",
    'a "quoted" name',
    "back\\slash \\n \\u0022 \\",
    "$(touch pwned) `touch pwned` $HOME ${HOME} %s",
    "; touch pwned #",
    "new\nline\r\n=== Step\n\ttab",
    "{} {0} {{url}} {{#new}} {{/new}} #{x}",
    "\0\x01\x07\x1b\x7f\x85\u2028\u2029\ufeff",
    "\u202eturned\u2066 around",
    "日本 é 🍪 \U000e0041",
    "*/ // <!-- ''' \"\"\"",
]
HEX = ",".join(text.encode().hex() for text in NASTY)

PYTHON = "print(','.join(text.encode().hex() for text in [{texts}]))"
TYPESCRIPT = "console.log([{texts}].map((text) => Buffer.from(text).toString('hex')).join(','));"
GO = """package main
const digits = "0123456789abcdef"
func main() {{
	for at, text := range []string{{ {texts} }} {{
		if at > 0 {{ print(",") }}
		for _, one := range []byte(text) {{ print(digits[one>>4:one>>4+1], digits[one&15:one&15+1]) }}
	}}
}}
"""
JAVA = """import java.nio.charset.StandardCharsets; import java.util.*;
public class Example {{ public static void main(String[] a) {{
  List<String> all = new ArrayList<>();
  for (String text : new String[] {{ {texts} }})
    all.add(HexFormat.of().formatHex(text.getBytes(StandardCharsets.UTF_8)));
  System.out.println(String.join(",", all)); }} }}
"""
RUST = """fn main() {{
    let all: Vec<String> = [{texts}].iter()
        .map(|text: &&str| text.bytes().map(|byte| format!("{{:02x}}", byte)).collect()).collect();
    println!("{{}}", all.join(","));
}}
"""
TOOLS: dict[str, tuple[str, str, str, Sequence[str]]] = {
    "python": (sys.executable, PYTHON, "example.py", [sys.executable, "example.py"]),
    "csharp": (sys.executable, PYTHON, "example.py", [sys.executable, "example.py"]),  # it has Python's escapes
    "typescript": ("node", TYPESCRIPT, "example.mjs", ["node", "example.mjs"]),
    "go": ("go", GO, "main.go", ["sh", "-c", "go run main.go 2>&1"]),
    "java": ("java", JAVA, "Example.java", ["java", "-Dfile.encoding=UTF-8", "Example.java"]),
    "rust": ("rustc", RUST, "main.rs", ["sh", "-c", "rustc main.rs && ./main"]),
}


def run(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("language", TOOLS)
def test_a_compiler_reads_the_text_that_was_written(language: str, tmp_path: Path) -> None:
    tool, program, file, command = TOOLS[language]
    if not shutil.which(tool):
        pytest.skip(f"there is no {tool}")
    texts = ", ".join(f'"{text}"' for text in literals(language, NASTY))
    (tmp_path / file).write_text(program.format(texts=texts), encoding="utf-8")
    assert run(command, tmp_path).strip() == HEX


def test_a_shell_reads_the_text_that_was_written(tmp_path: Path) -> None:
    texts = [text for text in NASTY if "\0" not in text]  # a shell has no such character; JSON writes another for it
    for text, literal in zip(texts, literals("curl", texts), strict=True):
        (tmp_path / "example.sh").write_text(f"printf %s '{literal}'", encoding="utf-8", newline="")
        done = subprocess.run(["sh", "example.sh"], cwd=tmp_path, capture_output=True, check=True)
        assert done.stdout.decode() == text
    assert [path.name for path in tmp_path.iterdir()] == ["example.sh"]


FIGURES = {"dimensions", "port", "grpc_port", "tls"}


@pytest.mark.parametrize("language", [*TEMPLATES, *(f"rerank/{language}" for language in LANGUAGES)])
def test_every_text_of_a_template_stands_between_the_quotes_of_its_language(language: str) -> None:
    template = (FOLDER / "examples" / f"{language}.txt").read_text()
    quote = {"curl": "'", "http": ""}.get(language.rpartition("/")[2], '"')
    for line in template.splitlines():
        for found in re.finditer(r"\{\{(\w+)\}\}", line):
            before, name = line[: found.start()], found[1]
            is_told = re.match(r"=== |\s*(//|#) ", before) and name == "what"
            assert is_told or name in FIGURES or not quote or before.count(quote) % 2 == 1, line


def model(name: str, kind: str, modality: str = "text", shared: Sequence[str] = ()) -> dict[str, Any]:
    vector = {"name": name, "vector": kind, "modality": modality, "shared_with": shared}
    return {**vector, "modifier": "idf" if kind == "sparse" else None, "dimensions": 4}


ADDRESS = "http://localhost:6333/it's/$(touch pwned)/"
MODELS = [
    *(model(f"{kind}{text}", kind) for text in NASTY for kind in ("dense", "sparse", "multivector")),
    model("image'\"\\$(x)", "dense", "image", ["text'\"\\$(x)"]),
    model("text'\"\\$(x)", "dense", "text", ["image'\"\\$(x)"]),
]


def filled(language: str) -> list[tuple[dict[str, Any], list[str]]]:
    asked = [
        {"name": one["name"], "language": language, "collection": text, "grpcPort": 1, "needsKey": True, **existing}
        for one, text in zip(MODELS, NASTY * 4, strict=False)
        for existing in ({}, {"existing": text})
    ]
    return list(zip(asked, fill(ADDRESS, MODELS, asked), strict=True))


CURL = """#!/bin/sh
printf '%s\\0' "$@"
"""


def test_curl_sends_what_was_named_and_a_shell_does_nothing_else(tmp_path: Path) -> None:
    fake = tmp_path / "bin" / "curl"
    fake.parent.mkdir()
    fake.write_text(CURL)
    fake.chmod(0o755)
    for asked, codes in filled("curl"):
        for code in codes:
            command = ["sh", "-c", f'PATH="{fake.parent}:$PATH"\n{code}']
            _, _, url, *rest = run(command, tmp_path).split("\0")
            assert url.startswith("http://localhost:6333/it's/$(touch%20pwned)/collections/")
            named = re.fullmatch(r".*/collections/([^/?]+)(/points(/query|[?]wait=true))?", url)
            assert named
            assert unquote(named[1]) == asked["collection"]
            body = json.loads(rest[rest.index("-d") + 1])
            if "query" in body:
                assert body.get("using", "") == asked.get("existing", body.get("using", ""))
                assert body["query"]["model"] in {asked["name"], MODELS[-1]["name"]}
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_python_names_what_was_named() -> None:
    for asked, (_, program) in filled("python"):
        texts = {node.value for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Constant)}
        assert {asked["name"], asked["collection"], asked.get("existing", asked["name"])} <= texts


@pytest.mark.parametrize(("language", "file", "command"), [
    ("typescript", "example.mjs", ["node", "--check", "example.mjs"]),
    ("go", "main.go", ["gofmt", "-e", "main.go"]),
])  # fmt: skip
def test_programs_stay_whole(language: str, file: str, command: Sequence[str], tmp_path: Path) -> None:
    if not shutil.which(command[0]):
        pytest.skip(f"there is no {command[0]}")
    for _, (_, program) in filled(language)[:8]:
        (tmp_path / file).write_text(program, encoding="utf-8")
        run(command, tmp_path)


def hybrid(language: str) -> list[tuple[dict[str, Any], list[str]]]:
    """Hybrid examples of models and vectors with any name."""
    asked = [
        {
            "name": f"dense{text}", "language": f"hybrid/{language}", "collection": text,
            "grpcPort": 1, "needsKey": True,
            **({"existing": {"dense": text, "sparse": f"sparse{text}"}} if existing else {}),
        }
        for text in NASTY
        for existing in (False, True)
    ]  # fmt: skip
    return list(zip(asked, fill(ADDRESS, MODELS[:-2], asked), strict=True))


def test_a_hybrid_example_in_python_names_what_was_named() -> None:
    for asked, (_, program) in hybrid("python"):
        texts = {node.value for node in ast.walk(ast.parse(program)) if isinstance(node, ast.Constant)}
        assert {asked["name"], asked["collection"], asked.get("existing", {}).get("sparse", asked["name"])} <= texts


@pytest.mark.parametrize("language", TEMPLATES)
def test_no_text_makes_a_step_of_its_own(language: str) -> None:
    kind, _, name = language.rpartition("/")
    most = 3 if name in {"http", "curl"} else 2
    assert all(len(codes) <= most for _, codes in (hybrid(name) if kind else filled(name)))
