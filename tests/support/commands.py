"""The commands for models, run in this process."""

from __future__ import annotations

from typer.testing import CliRunner

from serve_app.cli.main import app


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["models", *(str(argument) for argument in arguments)])
    return result.exit_code, result.output
