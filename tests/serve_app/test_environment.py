from __future__ import annotations

from pathlib import Path

import pytest

from deployments.errors import ConfigError
from serve_app import environment


def test_without_variables_the_embedded_store_is_used() -> None:
    settings = environment.read({})
    assert settings.qdrant_url == ()
    assert settings.data.is_absolute()


def test_grpc_goes_to_its_usual_port_beside_rest() -> None:
    assert environment.read({"QDRANT_URL": "http://q:6333"}).grpc_urls == ["http://q:6334"]
    both = {"QDRANT_URL": "https://q:6333", "QDRANT_GRPC_URL": "https://q:7000"}
    assert environment.read(both).grpc_urls == ("https://q:7000",)


def test_an_address_is_shown_without_its_credentials() -> None:
    assert environment.read({"QDRANT_URL": "https://me:secret@q:6333/x"}).shown_url == "https://q:6333/x"
    assert environment.read({}).shown_url == ""


def test_an_empty_variable_counts_as_absent(tmp_path: Path) -> None:
    settings = environment.read({"QDRANT_URL": "", "QDRANT_INFERENCE_DATA": str(tmp_path)})
    assert settings.qdrant_url == ()
    assert settings.data == tmp_path


@pytest.mark.parametrize(
    "variables",
    [{"QDRANT_URL": "localhost:6333"}, {"QDRANT_URL": "ftp://q"}, {"QDRANT_GRPC_URL": "http://q:6334"}],
)
def test_a_wrong_variable_is_named(variables: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"environment: .*(qdrant_url|QDRANT_URL)"):
        environment.read(variables)
