"""Commands that pages and the help tell people to type: each is there, and takes the options that are told."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer

from serve_app.cli.main import app
from tests.support.pages import PAGES, ROOT, name

COMMANDS: Any = typer.main.get_command(app)
LINE = re.compile(r"(?:^[ \t]*(?:\w+=\S+ )*|[`/])qdrant-inference((?: [^`\n]*)?)", re.MULTILINE)
IN_PROSE = re.compile(rf"`((?:{'|'.join(COMMANDS.commands)}) [^`\n]+)`")
END = re.compile(r"  |[#>;]|&&| \| |\\$")
"""Where a command ends, and a comment, a pipe or the next one begins."""


def told(text: str) -> Iterator[list[str]]:
    """The words behind `qdrant-inference`; brackets and dots around what may be left out are no words."""
    for found in (*LINE.finditer(text), *IN_PROSE.finditer(text)):
        yield shlex.split(re.sub(r"[][]|\.\.\.", "", END.split(found[1].strip())[0]))


def fault(words: list[str]) -> str:
    """What the command line would say of these words; an option whose value a page leaves out is none."""
    command, context = COMMANDS, None
    while True:
        context = command.context_class(command, parent=context)
        parser = command.make_parser(context)
        inner = getattr(command, "commands", {})
        parser.allow_interspersed_args = not inner
        try:
            _, words, _ = parser.parse_args(words)
        except Exception as error:  # noqa: BLE001  the parser's own kinds have no public names
            message = str(getattr(error, "message", error))
            return "" if "requires an argument" in message else message
        if not inner or not words:
            return f"unexpected: {words}" if words else ""
        if words[0] not in inner:
            return f"no command {words[0]}"
        command, words = inner[words[0]], words[1:]


def every_command(command: Any = COMMANDS, path: str = "") -> Iterator[tuple[str, Any]]:
    for word, one in command.commands.items():
        if hasattr(one, "commands"):
            yield from every_command(one, f"{path} {word}")
        yield f"{path} {word}".strip(), one


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_on_a_page_is_one(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert {shlex.join(words): said for words in told(text) if (said := fault(words))} == {}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"(?:`|^\s*)make ([a-z][a-z-]*)", text, re.MULTILINE)
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []
    modules = re.findall(r"python -m ((?:benchmarks|tests|serve_app)(?:\.\w+)*)", text)
    assert [module for module in modules if find_spec(module) is None] == []


def test_every_example_of_the_help_is_a_command() -> None:
    for path, command in every_command():
        examples = re.findall(r"\[/\] qdrant-inference (.*)", command.epilog or "")
        assert examples or hasattr(command, "commands") or path == "store migrate", f"{path}: no example"
        assert [example for example in examples if fault(shlex.split(END.split(example)[0]))] == [], path


def test_every_option_of_up_is_on_the_page_of_configuration() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    options = [option for one in COMMANDS.commands["up"].params for option in one.opts]
    assert [option for option in options if not re.search(rf"`{option}\b", page)] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("upp", "no command upp"),
        ("up --colour red", "No such option: --colour"),
        ("models list starter", "unexpected: ['starter']"),
        ("models add --url", ""),
        ("config check serve.yaml --node-cpus 4", ""),
    ],
)
def test_a_command_that_is_none_is_seen(words: str, said: str) -> None:
    assert fault(words.split()) == said


def test_commands_are_found_where_pages_have_them() -> None:
    text = (
        "    A=b qdrant-inference up --port 1  # why\n"
        "See `models add [FOLDER]`, `models` and `.venv/bin/qdrant-inference`.\n"
        "    kubectl -n qdrant-inference get pods"
    )
    assert list(told(text)) == [["up", "--port", "1"], [], ["models", "add", "FOLDER"]]
