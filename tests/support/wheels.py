"""Made-up wheels and folders with the files of a model."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

from deployments.catalogue.card import FolderSource, ModelCard, Source, WheelSource

WEIGHTS = bytes(range(256)) * 500
FILES = {"weights.bin": WEIGHTS, "sub/config.json": b"{}"}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def write_wheel(folder: Path, files: dict[str, bytes]) -> Path:
    info = "toy_model-1.0.dist-info"
    metadata = {
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: toy-model\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    path = folder / "toy_model-1.0-py3-none-any.whl"
    path.write_bytes(zipped({**files, **metadata}))
    return path


def wheel_source(files: dict[str, dict[str, str]], archive: str | None = None) -> Source:
    return WheelSource.model_validate({"wheel": "toy-model", "version": "1.0", "archive": archive, "files": files})


def folder_source(folder: Path, files: dict[str, bytes] = FILES) -> Source:
    return FolderSource.model_validate(
        {"folder": folder, "files": {name: {"sha256": sha256(content)} for name, content in files.items()}}
    )


def card_of(*sources: Source, name: str = "toys/bear") -> ModelCard:
    return ModelCard(
        name=name, family="sparse", context_window=8, licence="none", model_card_url="none", sources=sources
    )


GOOD = wheel_source(
    {
        "weights.bin": {"path": "toy/weights.bin", "sha256": sha256(WEIGHTS)},
        "sub/config.json": {"path": "toy/config.json", "sha256": sha256(b"{}")},
    }
)


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
