"""The Dockerfile, which nothing here can build."""

from __future__ import annotations

import re
from pathlib import Path

HOME = Path(__file__).parents[2]
TEXT = (HOME / "Dockerfile").read_text(encoding="utf-8")


def test_what_is_copied_is_there_and_not_ignored() -> None:
    kept = set(re.findall(r"^!(.+)$", (HOME / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE))
    copied = {name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", TEXT, re.MULTILINE) for name in line.split()}
    assert copied == kept
    assert all((HOME / name).exists() for name in copied)


def test_both_targets_have_the_same_python_and_the_pinned_packages() -> None:
    bases = re.findall(r"^FROM (\S+) AS \w+-base$", TEXT, re.MULTILINE)
    assert len(bases) == 2
    assert all("ubuntu24.04" in base.replace(":", "") for base in bases)
    assert TEXT.count("--constraint constraints.txt") == 2
    assert ":latest" not in TEXT


def test_images_and_pages_have_the_version_of_the_package() -> None:
    (version,) = re.findall(r'^version = "(.+)"$', (HOME / "pyproject.toml").read_text(), re.MULTILINE)
    for page in ("Dockerfile", "k8s/README.md", "docs/install.md"):
        tags = re.findall(
            r"(?:qdrant-inference-[cg]pu:|qdrant_inference-|==)([\d.]+\d)", (HOME / page).read_text(encoding="utf-8")
        )
        assert tags, page
        assert set(tags) == {version}, page


def test_no_target_runs_as_root() -> None:
    for target in ("cpu", "gpu"):
        assert re.findall(r"^USER (.+)$", stage(target), re.MULTILINE)[-1] == "1000:1000"
    assert "FROM cpu AS cpu-starter" in TEXT
    assert set(re.findall(r"^USER (.+)$", TEXT, re.MULTILINE)) == {"1000:1000"}


def test_only_the_starter_image_holds_models_and_nothing_is_built_on_it() -> None:
    held = stage("cpu-starter")
    assert "qdrant-inference models pull" in held
    assert "QDRANT_INFERENCE_CACHE=/models" in stage("cpu")
    assert "install --directory --owner=1000 --group=1000 /models" in stage("cpu")
    assert TEXT.count("models pull") == 1
    assert "cpu-starter" not in re.findall(r"(?:^FROM |--from=)(\S+)", TEXT, re.MULTILINE)


def stage(target: str) -> str:
    """What stands in the Dockerfile of a target."""
    return TEXT.partition(f" AS {target}\n")[2].partition("\nFROM ")[0]
