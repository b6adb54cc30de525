"""The pages: short enough, every link leads somewhere, every column has a name, and what they name exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from serve_app.config.environment import Environment
from tests.support.pages import FOLDERS, PAGES, ROOT, name

README = ROOT / "README.md"
WORDS = 1000
OTHER_VARIABLES = ("QDRANT_INFERENCE_CACHE", "QDRANT_INFERENCE_CONFIG", "QDRANT_INFERENCE_GRAPHS")
"""Those that are read elsewhere than with the others."""


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^( *)```.*?^\1```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """The files that a page links to, each with the heading there; other sites are left out."""
    text = re.sub(r"`[^`\n]*`", "", prose(page))
    for target in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", text) + re.findall(r'<img src="([^"]+)"', text):
        path, _, anchor = target.partition("#")
        yield (page.parent / path).resolve() if path else page, anchor


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links to them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def headers(page: Path) -> Iterator[list[str]]:
    """The names of the columns of each table."""
    lines = prose(page).splitlines()
    for header, rule in pairwise(lines):
        if header.startswith("|") and re.fullmatch(r"\|(\s*:?-+:?\s*\|)+", rule):
            yield [cell.strip() for cell in header.strip().strip("|").split("|")]


def test_the_readme_is_read_in_some_minutes() -> None:
    assert len(README.read_text(encoding="utf-8").split()) <= WORDS


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_file_and_its_heading(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), f"{name(page)} links to {target}, which is not there"
        assert not anchor or anchor in anchors(target), f"{name(target)} has no heading #{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_column_has_a_name(page: Path) -> None:
    for columns in headers(page):
        assert all(columns), f"{name(page)}: a column of {columns} has no name"


def test_every_page_is_found_from_the_readme() -> None:
    found, new = {README}, [README]
    while new:
        pages = {target for target, _ in links(new.pop()) if target.suffix == ".md"} - found
        found |= pages
        new += pages
    assert [name(page) for page in PAGES if page not in found] == []


@pytest.mark.parametrize("page", ["SECURITY.md", "RELIABILITY.md"])
def test_a_page_names_only_tests_that_exist(page: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / page).read_text())
    assert named
    for path, test in named:
        source = (ROOT / path).read_text()
        assert not test or f"def {test}(" in source, f"{path} has no {test}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_of_the_project_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)(?:::\w+)?`", page.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_python_on_a_page_is_python_and_leaves_inference_to_the_server(page: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        compile(block, name(page), "exec")
        # Without it the client looks for a fastembed of its own, and sends vectors.
        assert ("QdrantClient(" in block) <= ("cloud_inference=True" in block), block


def test_every_environment_variable_is_documented() -> None:
    told = "".join((ROOT / "docs" / page).read_text() for page in ("configuration.md", "access-control.md"))
    assert [n for n in (*map(str.upper, Environment.model_fields), *OTHER_VARIABLES) if f"`{n}`" not in told] == []


def test_the_checks_of_pages_see_what_is_wrong(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page: so `it` is\n[x](gone.md#y) `[no](link)` <https://a.b>\n\n| a | |\n|---|---|\n| 1 | 2 |\n"
    )
    assert list(links(page)) == [(tmp_path / "gone.md", "y")]
    assert anchors(page) == {"a-page-so-it-is"}
    assert list(headers(page)) == [["a", ""]]
