"""Docstrings are found without importing anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.demo.corpus import Docstring, docstrings, standard_library

SOURCE = '''
"""The module."""
raise RuntimeError("nobody imports this")

class Tree:
    """A tree."""

    @property
    def height(self):
        """In metres."""

    @height.setter
    def height(self, value):
        """Make it grow."""

    def leaves(self): pass

if True:
    try:
        async def grow():
            """Grow."""
    except OSError:
        def grow_slowly():
            """Grow
            slowly.

            It takes long."""
'''


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small library."""
    files = {
        "wood/__init__.py": '"""A wood."""',
        "wood/oak.py": SOURCE,
        "apple.py": '"""An apple."""',
        "broken.py": '"""Not closed',
        "silent.py": "x = 1",
        "blank.py": '"""  """',
        "test/test_wood.py": '"""A test."""',
        "wood/tests/test_oak.py": '"""A test."""',
        "site-packages/other.py": '"""Not ours."""',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_every_definition_with_a_docstring_is_found_in_order(tree: Path) -> None:
    assert [(found.name, found.kind) for found in docstrings(tree)] == [
        ("apple", "module"),
        ("wood", "module"),
        ("wood.oak", "module"),
        ("wood.oak.Tree", "class"),
        ("wood.oak.Tree.height", "method"),
        ("wood.oak.grow", "function"),
        ("wood.oak.grow_slowly", "function"),
    ]


def test_of_several_docstrings_of_one_name_the_first_counts(tree: Path) -> None:
    (height,) = (found for found in docstrings(tree) if found.name.endswith("height"))
    assert height == Docstring("wood.oak.Tree.height", "method", "wood.oak", "In metres.")


def test_a_summary_is_the_first_paragraph_in_one_line(tree: Path) -> None:
    assert docstrings(tree)[-1].summary == "Grow slowly."


def test_the_same_name_has_the_same_id_everywhere() -> None:
    assert Docstring("json", "module", "json", "a").id == "10bfb9f0-938f-5b86-ba9d-f4f06fc36379"


def test_reading_twice_gives_the_same(tree: Path) -> None:
    assert docstrings(tree) == docstrings(tree)


@pytest.mark.slow
def test_the_standard_library_has_thousands_of_texts_ordered_by_file() -> None:
    found = standard_library()
    assert len(found) > 5000
    assert len({docstring.id for docstring in found}) == len(found)
    assert "json.encoder.JSONEncoder.encode" in {docstring.name for docstring in found}
    tops = [docstring.module for docstring in found if docstring.kind == "module" and "." not in docstring.module]
    assert [top for top in tops if top in {"abc", "json", "random", "zipfile"}] == ["abc", "json", "random", "zipfile"]
