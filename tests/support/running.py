"""A service of its own for tests: the real command, on ports that nobody else uses."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from deployments.catalogue.catalogue import HOME

UP = (sys.executable, "-m", "serve_app", "up")
START_TIMEOUT_S = 240
STOP_TIMEOUT_S = 60

_TROUBLE = re.compile(r"\b(ERROR|Traceback|Fatal|SIG[A-Z]+|died|killed)\b")


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago.

    They lie below those that the system gives to outgoing connections and to servers that ask for any port, and below
    the service's own: nobody else takes one before the test's server does.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.SystemRandom().randrange(10_000, 21_000)  # others may have seeded `random`
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
            probe.bind(("", port))
            found += [port] if port not in found else []
    return found


def write_config(folder: Path, rest_port: int, grpc_port: int, models: Sequence[str]) -> Path:
    """The local config on other ports, with images from this machine allowed.

    If `models` are named, those text models are served alone.
    """
    config = yaml.safe_load((HOME / "configs" / "serve-local.yaml").read_text())
    config["http_options"]["port"] = rest_port
    config["grpc_options"]["port"] = grpc_port
    (application,) = config["applications"]
    deployments = {deployment["name"]: deployment for deployment in application["deployments"]}
    deployments["ImageLoader"]["user_config"] = {"private_hosts": ["127.0.0.1"], "ports": []}
    deployments["Ingress"]["user_config"]["request_log"] = "json"
    deployments["Ingress"]["user_config"]["any_mrl"] = True  # no starter model was trained to be cut
    deployments["Ingress"]["user_config"]["vector_cache_bytes"] = 0  # a search here is to reach its model
    # So that Serve's controller tells what autoscaling wants.
    policy = {"policy_function": "deployments.autoscaling:replicas"}
    deployments["qdrant--bm25"]["autoscaling_config"] = {"min_replicas": 1, "max_replicas": 1, "policy": policy}
    if models:
        application["args"]["models"] = list(models)
        kept = {"Ingress", *(model.replace("/", "--") for model in models)}
        application["deployments"] = [deployment for name, deployment in deployments.items() if name in kept]
    path = folder / "serve-test.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@dataclass
class RunningService:
    """`qdrant-inference up`, from start to stop, in a folder of its own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    command: Sequence[str] = UP
    models: Sequence[str] = ()
    """The only text models that are served, for a quick start; none named: all starter models, images too."""

    def __post_init__(self) -> None:
        self.rest_port, self.grpc_port, stats, metrics = self.ports = free_ports(4)
        self.rest_address = f"http://127.0.0.1:{self.rest_port}"
        self.output = self.folder / "output.log"
        self.variables = {
            **os.environ,
            "QDRANT_INFERENCE_DATA": str(self.folder / "data"),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(stats),
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics),
            "PYTHONUNBUFFERED": "1",
            **self.environment,
        }
        self.config = write_config(self.folder, self.rest_port, self.grpc_port, self.models)
        self.process: Any = None
        self.left: list[psutil.Process] = []

    def start(self) -> RunningService:
        """Start, and wait until it says that it is ready."""
        command = [*self.command, "--config", str(self.config)]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command, env=self.variables, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            self._wait()
        except BaseException:  # a test's own timeout, too
            self.stop()
            raise
        return self

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while "ready in" not in self.said:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the service did not start:\n{self.said}")
            time.sleep(0.1)

    @property
    def said(self) -> str:
        """What the command has written so far."""
        return self.output.read_text()

    @property
    def metrics_address(self) -> str:
        """Where the metrics of all its processes are."""
        (line,) = (line for line in self.said.splitlines() if line.strip().startswith("metrics"))
        return line.split()[-1]

    @property
    def logs(self) -> Path:
        """The folder of all logs of this run."""
        (line,) = (line for line in self.said.splitlines() if line.strip().startswith("logs"))
        return Path(line.split()[-1]).parent

    def last_words(self, lines: int = 15) -> str:
        """The command's last lines, and those of each log of its processes that tells of an error."""
        found = [f"[{self.output}]", *self.said.splitlines()[-lines:]]
        with contextlib.suppress(ValueError, IndexError):  # it has not come so far as to name its logs
            for log in sorted([*self.logs.rglob("worker-*.err"), *self.logs.rglob("serve/*.log")]):
                text = log.read_text(errors="replace")
                if _TROUBLE.search(text):
                    found += [f"[{log}]", *text.splitlines()[-lines:]]
        return "\n".join(found)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop by a signal, and give the exit status. What is left after that is kept in `left` and killed."""
        try:
            self.process.send_signal(number)
            return int(self.process.wait(STOP_TIMEOUT_S))
        finally:
            self.left = self.family()
            for process in self.left:
                _kill(process)

    def family(self) -> list[psutil.Process]:
        """All processes that this run has started and that are running, itself included."""
        mark = f"QDRANT_INFERENCE_DATA={self.variables['QDRANT_INFERENCE_DATA']}".encode()
        found = []
        for process in psutil.process_iter():
            try:
                if mark in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
                    found.append(process)
            except OSError:
                continue
        return found


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
