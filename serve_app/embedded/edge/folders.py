"""Files of a store: written as a whole or not at all, and never by two processes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from pathlib import Path
from typing import IO, Any

import orjson
from grpc import StatusCode

from deployments.errors import ConfigError
from serve_app.embedded.engine.errors import GrpcError


def write_json(path: Path, value: Any) -> None:
    """Replace a file by one with this content; a crash leaves the old one or the new one."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(orjson.dumps(value, option=orjson.OPT_INDENT_2))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json(path: Path) -> Any:
    """A file's content."""
    return orjson.loads(path.read_bytes())


_RESERVE = 128 * 1024 * 1024
"""Bytes that stay free: the engine maps its files into memory, where a write to a full disk would end the process."""


def check_space(folder: Path, needed: int = 0) -> None:
    """Refuse a write, of so many bytes beside what a request brings, before the disk is full.

    Raises:
        GrpcError: it nearly is.
    """
    if shutil.disk_usage(folder).free < _RESERVE + needed:
        raise GrpcError(StatusCode.INTERNAL, "Service internal error: no space left on the disk of the embedded store")


_NOT_YET = "tmp-*"
"""What the engine, at a time of its own, makes the next part of a log from; then it has another name."""


def contents(folder: Path) -> list[Path]:
    """All that is in a folder of the engine's, at any depth; folders come before what is in them."""
    return [path for path in sorted(folder.rglob("*")) if not path.match(_NOT_YET)]


def copy(folder: Path, target: Path) -> None:
    """Copy a folder of the engine's."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns(_NOT_YET))


def remove(folder: Path) -> None:
    """A folder with all that is in it, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)


def lock(folder: Path) -> IO[bytes]:
    """Keep other processes from a folder for as long as the file stays open.

    Raises:
        ConfigError: another process has it, or it cannot be written to; the text names the folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a+b")
    except OSError as error:
        raise ConfigError(f"{folder}: the embedded store cannot be written here: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = _holder(file)
        file.close()
        raise ConfigError(f"{folder}: another process{holder} has this embedded store open") from error
    file.truncate(0)
    file.write(str(os.getpid()).encode())
    file.flush()
    return file


def _holder(file: IO[bytes]) -> str:
    with contextlib.suppress(OSError, ValueError):
        file.seek(0)
        return f" ({int(file.read())})"
    return ""
