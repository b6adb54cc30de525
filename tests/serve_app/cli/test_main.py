"""The command line, without a service."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from deployments.catalogue.catalogue import HOME
from deployments.errors import ConfigError
from serve_app.cli import files, main
from serve_app.cli.main import app
from serve_app.cli.neighbours import Neighbour
from serve_app.cli.terminal import interruptible
from serve_app.demo import walkthrough

COMMANDS = ("list", "show", "pull", "verify", "remove", "bench", "add")


@pytest.mark.parametrize(
    "command", [(), ("up",), ("demo",), ("store",), ("models",), *(("models", name) for name in COMMANDS)]
)
def test_every_command_has_help(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_an_error_is_told_as_it_is_even_where_it_looks_like_markup(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, interruptible():
        raise ConfigError("no token '[unused0]' in [red]here")
    assert caught.value.code == 1
    assert capsys.readouterr().err == "error: no token '[unused0]' in [red]here\n"


def test_ctrl_c_is_no_traceback() -> None:
    with pytest.raises(SystemExit) as caught, interruptible():
        raise KeyboardInterrupt
    assert caught.value.code == 130


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo that has to start a service, which costs nothing; whoever waits presses Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(walkthrough, "answers", lambda _url: False)
    monkeypatch.setattr(walkthrough, "tell", lambda *_: None)
    monkeypatch.setattr(main, "running", lambda _: nullcontext(SimpleNamespace(rest_address="http://localhost:6333")))
    monkeypatch.setattr("threading.Event.wait", interrupt)


def test_a_demo_at_a_terminal_keeps_its_service_until_ctrl_c(
    nothing_runs: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    with pytest.raises(typer.Exit) as caught:
        main.demo(None)
    assert caught.value.exit_code == 0
    assert "Ctrl-C stops it" in capsys.readouterr().out


def test_a_demo_without_a_terminal_stops_its_service(
    nothing_runs: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    main.demo(None)
    assert "stopping the service" in capsys.readouterr().out


def test_a_demo_does_not_fill_a_qdrant_that_has_no_inference(
    nothing_runs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walkthrough, "answers", lambda _url: True)
    monkeypatch.setattr(main, "who_answers", lambda _port: Neighbour(ours=False, qdrant="1.18.3"))
    monkeypatch.setattr(main, "interrupt_on_signals", lambda: None)
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 1
    assert "error: http://localhost:6333 is Qdrant 1.18.3 without inference" in result.output
    assert "qdrant-inference demo --url http://localhost:6343" in result.output
    assert CliRunner().invoke(app, ["demo", "--url", "http://localhost:6333"]).exit_code == 0


@pytest.mark.slow
def test_listing_models_imports_nothing_that_only_models_need() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from serve_app.cli.main import app; "
        "assert CliRunner().invoke(app, ['models', 'list']).exit_code == 0; "
        "print(sorted({'onnxruntime', 'onnx', 'tokenizers', 'huggingface_hub', 'grpc'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=HOME, capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == "[]"


def test_a_file_that_is_not_here_may_come_with_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    named = Path("configs/serve-local.yaml")
    assert files.existing(named) == files.LOCAL
    (tmp_path / "configs").mkdir()
    (tmp_path / named).touch()
    assert files.existing(named) == named
    assert files.existing(Path("no.yaml")) == Path("no.yaml")


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"HOME": "/home/ann"}, "/home/ann/.config/qdrant-inference"),
        ({"HOME": "/home/ann", "XDG_CONFIG_HOME": "/settings"}, "/settings/qdrant-inference"),
        ({"HOME": "/home/ann", "XDG_CONFIG_HOME": "/settings", "QDRANT_INFERENCE_CONFIG": "~/ours"}, "/home/ann/ours"),
    ],
)
def test_the_own_catalogue_lies_in_the_users_configuration(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str
) -> None:
    for name in ("XDG_CONFIG_HOME", "QDRANT_INFERENCE_CONFIG"):
        monkeypatch.setenv(name, "")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert files.own_catalogue() == Path(folder, "own.yaml")


def test_the_version_is_that_of_the_installed_package() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output == f"qdrant-inference {version('qdrant-inference')}\n"


def test_a_shell_completes_commands_and_options() -> None:
    for typed, completed in (("mod", "models"), ("models ver", "verify"), ("up --grpc", "--grpc-port")):
        words = f"qdrant-inference {typed}"
        asked = {
            "_QDRANT_INFERENCE_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": f"{words.count(' ')}",
        }
        result = CliRunner().invoke(app, env=asked, prog_name="qdrant-inference")
        assert result.output.split() == [completed]


def test_a_file_that_comes_with_the_project_is_printed_as_it_is() -> None:
    result = CliRunner().invoke(app, ["config", "show", "configs/models/starter.yaml"])
    assert result.output == files.STARTER.read_text(encoding="utf-8")
