"""Everything that a benchmark starts beside itself, each thing for as long as a context is open."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import yaml

from benchmarks import stub_qdrant, stub_qdrant_grpc
from tests.support.running import UP, RunningService, free_ports

_STOP_S = 60.0


@contextmanager
def module(program: ModuleType, *arguments: str) -> Iterator[None]:
    """A module in a process of its own, which says `ready` and ends when its input does."""
    command = [sys.executable, "-m", program.__name__, *arguments]
    process: Any = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            if line.strip() == "ready":
                break
        else:
            raise RuntimeError(f"{program.__name__} did not start")
        yield
    finally:
        process.stdin.close()
        process.wait(_STOP_S)


@contextmanager
def stub_store() -> Iterator[dict[str, str]]:
    """A Qdrant that forgets, over REST and gRPC; gives the environment variables that lead a service to it."""
    rest, grpc = free_ports(2)
    with stub_qdrant.rest_store(rest), module(stub_qdrant_grpc, str(grpc)):
        yield {"QDRANT_URL": f"http://127.0.0.1:{rest}", "QDRANT_GRPC_URL": f"http://127.0.0.1:{grpc}"}


def exit_on_sigterm() -> None:
    """Who is told to end leaves the contexts here, and so ends what was started."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


@contextmanager
def service(
    environment: dict[str, str], change: Callable[[Any], None] | None = None, command: Sequence[str] = UP
) -> Iterator[RunningService]:
    """Our service, from the local config as it is shipped; `change` is given the application's part of it to alter."""
    exit_on_sigterm()
    with tempfile.TemporaryDirectory() as folder:
        running = RunningService(Path(folder), environment, command)
        config = yaml.safe_load(running.config.read_text())
        deployment(config["applications"][0], "Ingress")["user_config"]["request_log"] = "none"  # the tests' own
        if change:
            change(config["applications"][0])
        running.config.write_text(yaml.safe_dump(config))
        running.start()
        try:
            yield running
        finally:
            running.stop()


def deployment(application: Any, name: str) -> Any:
    """One deployment of an application in a Serve config, to alter."""
    (found,) = (entry for entry in application["deployments"] if entry["name"] == name)
    return found


@dataclass(frozen=True)
class Spent:
    """Processor time that each kind of process has used, in seconds."""

    seconds: dict[str, float]

    def since(self, earlier: Spent) -> dict[str, float]:
        """What was used since then."""
        return {name: used - earlier.seconds.get(name, 0.0) for name, used in self.seconds.items()}


def spent(running: RunningService, named: Callable[[list[str]], str] | None = None) -> Spent:
    """What the processes of a service have used so far, by their kind, or by another name of their command line."""
    seconds: dict[str, float] = {}
    for process in running.family():
        try:
            name, times = (named or kind)(process.cmdline()), process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        seconds[name] = seconds.get(name, 0.0) + times.user + times.system
    return Spent(seconds)


def kind(command: list[str]) -> str:
    """`Ingress`, the name of another deployment, `HAProxy`, or `Ray` for all that keeps the cluster together."""
    text = " ".join(command)
    if text.startswith("ray::ServeReplica:"):
        return text.split(":")[-1].strip()
    return "HAProxy" if command and command[0].endswith("/haproxy") else "Ray"
