"""`python -m benchmarks.stub_up up ...`: the command line, with an application that `config check` would refuse."""

from __future__ import annotations

from unittest import mock

from serve_app.cli import config_check
from serve_app.cli.main import app

BUILDER = "benchmarks.stub_model:build"

if __name__ == "__main__":
    with mock.patch.object(config_check, "_BUILDER", BUILDER):
        app()
