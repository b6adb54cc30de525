"""The pages of the project."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FOLDERS = ("benchmarks", "configs", "deployments", "docs", "k8s", "serve_app", "tests")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()
