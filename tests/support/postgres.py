"""A PostgreSQL server for tests, in a folder and on a port of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.support.running import free_ports


def binaries() -> Path | None:
    """The folder of the server's programs; Debian keeps them off the path."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


def other_user() -> dict[str, Any]:
    """PostgreSQL does not run as root: another user where we are root."""
    if os.geteuid():
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return {}


@dataclass
class Server:
    """A running server; `stop` and `start` it as you like."""

    programs: Path
    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql://tester@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._do("start", "-o", options, "-l", str(self.folder / "log"))

    def stop(self) -> None:
        self._do("stop", "-m", "immediate")

    def suspend(self) -> None:
        """Hang: connections stay open, nobody answers."""
        first = self._first_process()
        first.suspend()  # so that there are no new ones
        for process in first.children():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def resume(self) -> None:
        first = self._first_process()
        for process in [*first.children(), first]:
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def _first_process(self) -> psutil.Process:
        return psutil.Process(int((self.folder / "data" / "postmaster.pid").read_text().split()[0]))

    def _do(self, what: str, *options: str) -> None:
        run([self.programs / "pg_ctl", what, "-w", "-D", self.folder / "data", *options])


def run(command: list[Any]) -> None:
    done = subprocess.run(
        command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False, **other_user()
    )
    assert done.returncode == 0, done.stderr.decode()


@contextmanager
def server(programs: Path) -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="qi-pg-", dir="/tmp"))
    owner = other_user()
    if owner:
        os.chown(folder, owner["user"], owner["group"])
    running = Server(programs, folder, free_ports(1)[0])
    try:
        run([programs / "initdb", "-D", folder / "data", "-U", "tester", "-A", "trust", "-N"])
        running.start()
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
