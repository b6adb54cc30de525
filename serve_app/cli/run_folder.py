"""The folder of a run: secrets, sockets and Ray's files while it lasts; its logs, for who asks what went wrong.

Each start removes the logs of all but the last few runs before it, and what else those left that were killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
from pathlib import Path

_PLACE = Path("/tmp")  # noqa: S108  mkdtemp makes one for its user alone; names of sockets have to be short
_LOCK = "lock"
_KEPT = 5
"""Runs whose logs stay."""


class RunFolder:
    """A new folder, locked for as long as this process lives: so others know that it is in use."""

    def __init__(self, place: Path = _PLACE) -> None:
        _clear(place)
        self.path = Path(tempfile.mkdtemp(prefix="qi-", dir=place))
        self._lock = (self.path / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Leave nothing."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()

    def end(self) -> None:
        """Leave the logs, or nothing if nothing was started; safe to call again."""
        _keep_logs(self.path)
        self._lock.close()


def _clear(place: Path) -> None:
    """Remove what ended runs of this user have left."""
    ended = sorted(filter(_has_ended, place.glob(f"qi-*/{_LOCK}")), key=_began, reverse=True)
    for lock in ended[:_KEPT]:
        _keep_logs(lock.parent)
    for lock in ended[_KEPT:]:
        shutil.rmtree(lock.parent, ignore_errors=True)


def _has_ended(lock: Path) -> bool:
    try:
        with lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # it lasts, or is somebody else's
        return False
    return True


def _began(lock: Path) -> float:
    with contextlib.suppress(FileNotFoundError):  # another start removes it, too
        return lock.stat().st_mtime
    return 0.0


def _keep_logs(folder: Path) -> None:
    sessions = [path for path in folder.glob("ray/session_*") if not path.is_symlink()]
    if not sessions:
        shutil.rmtree(folder, ignore_errors=True)
    kept = {folder / _LOCK, folder / "ray", *sessions, *(session / "logs" for session in sessions)}
    for parent in [folder, folder / "ray", *sessions]:
        for path in set(parent.glob("*")) - kept:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
