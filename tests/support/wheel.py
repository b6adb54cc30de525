"""The package as users get it: a wheel, in an environment that knows nothing of this clone."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
OF_THE_PACKAGE = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "serve_app", "deployments", "configs")


def build(folder: Path) -> Path:
    """Build the wheel from a copy of what belongs to it, so that nothing is left in the clone."""
    clone = folder / "source"
    for name in OF_THE_PACKAGE:
        original, copy = ROOT / name, clone / name
        if original.is_dir():
            shutil.copytree(original, copy, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(original, copy)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, clone)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    """A new environment with the wheel in it; its `bin`.

    The dependencies are those of the environment that runs the tests, by a line in a `.pth` file: installing them anew
    would take minutes. Python reads no `.pth` file from there, so that a clone that is installed there is not seen.
    """
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    _pip("--python", python, "install", "--no-deps", "--no-index", "--no-warn-script-location", wheel)
    inside = f"import sysconfig; print(sysconfig.get_path('purelib', vars={{'base': {str(folder)!r}}}))"
    packages = subprocess.run([python, "-c", inside], capture_output=True, text=True, check=True).stdout.strip()
    Path(packages, "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder / "bin"


def _pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
