"""Who interrupts a start finds nothing left, and an exit status that says so."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from deployments.catalogue.catalogue import HOME
from serve_app.cli.launcher import Service, _end
from serve_app.front import haproxy, sockets

CUT_OFF = """
import atexit, os, signal, sys
from types import SimpleNamespace
from serve_app.cli import main, up
from serve_app.demo import walkthrough

class Half:
    config = SimpleNamespace(http_options=SimpleNamespace(port=1, host="127.0.0.1"))

    def __init__(self, *_): ...
    def __enter__(self): return self
    def __exit__(self, *_): print("stopped as a whole")
    def check_ports(self, _): ...
    def models(self): return []

    def start(self, _):
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))  # as Ray does
        os.kill(os.getpid(), getattr(signal, sys.argv[2]))

    def cut_off(self):
        os.kill(os.getpid(), signal.SIGTERM)  # a second one does not disturb it
        print("cut off")

up.Service = Half
walkthrough.answers = lambda _: False
atexit.register(os.abort)  # as a library whose threads are half started
main.app([sys.argv[1]])
"""


@pytest.mark.parametrize(("command", "number"), [("up", "SIGINT"), ("up", "SIGTERM"), ("demo", "SIGINT")])
def test_an_interrupted_start_is_cut_off_and_does_not_end_in_a_crash(command: str, number: str, tmp_path: Path) -> None:
    variables = {**os.environ, "QDRANT_INFERENCE_DATA": str(tmp_path / "data")}
    variables.pop("QDRANT_URL", None)
    run = subprocess.run(
        [sys.executable, "-c", CUT_OFF, command, number],
        cwd=HOME, env=variables, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (130, "")
    assert run.stdout.endswith("cut off\nstopped; nothing is left running\n")
    assert "as a whole" not in run.stdout


STUBBORN = """
import ctypes, signal
first = ctypes.POINTER(ctypes.c_void_p).in_dll(ctypes.CDLL(None), "environ")[0]
ctypes.memset(first, 0, 20)  # so a long title lies over the first variables
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(flush=True)
signal.pause()
"""


def test_the_processes_of_a_run_are_known_by_its_secret_and_end_even_if_they_do_not_want_to() -> None:
    variables = {"A": "x" * 40, **os.environ, haproxy.SECRET: "of this test"}
    with subprocess.Popen([sys.executable, "-c", STUBBORN], env=variables, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        found = list(sockets.processes_of_this_run("of this test"))
        assert found == [psutil.Process(process.pid)]
        _end(found, 0.1)
        assert not psutil.pid_exists(process.pid)
    assert list(sockets.processes_of_this_run("of this test")) == []


def test_the_processes_of_a_service_are_known_by_its_folder_too_and_with_them_what_they_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(haproxy.SECRET, "of no process")
    nested = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", nested, f"--log={tmp_path}/ray"], stdin=subprocess.PIPE) as process:
        parent = psutil.Process(process.pid)
        while not (children := parent.children()):
            time.sleep(0.01)
        service: Any = SimpleNamespace(_folder=tmp_path, _haproxies=list)
        assert set(Service._processes(service)) == {parent, *children}
        process.communicate(b"\n")
