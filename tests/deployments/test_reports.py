"""Libraries that would report to their makers are told not to, before they are imported."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.catalogue.catalogue import HOME

SILENT = {"ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY"}
RUN_A_MODEL = """
from deployments.catalogue import catalogue
from deployments.networks.settings import SessionSettings
from deployments.onboarding.in_process import runs_as

starter = catalogue.load(catalogue.HOME / "configs" / "models" / "starter.yaml")
print(runs_as(starter.find("starter/splade-tiny", "test"), SessionSettings()))
"""


@pytest.mark.slow
def test_a_model_is_loaded_and_run_without_a_connection(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed; it sees what native code opens")
    calls = tmp_path / "calls"
    environment = {name: value for name, value in os.environ.items() if name not in SILENT}
    command = ["strace", "-f", "-qq", "-e", "trace=connect,sendto", "-o", str(calls), sys.executable, "-c", RUN_A_MODEL]
    done = subprocess.run(command, cwd=HOME, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert " in " in done.stdout, "the precision"
    assert re.findall(r".*AF_INET.*", calls.read_text()) == []


def test_whoever_wants_the_reports_may_have_them() -> None:
    told = f"import os, deployments; print([os.environ[name] for name in {sorted(SILENT)}])"
    environment = {name: value for name, value in os.environ.items() if name not in SILENT}
    for given, expected in (({}, "['1', '1']"), (dict.fromkeys(SILENT, "0"), "['0', '0']")):
        command = [sys.executable, "-c", told]
        done = subprocess.run(
            command, cwd=HOME, env={**environment, **given}, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected
