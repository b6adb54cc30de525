from __future__ import annotations

from pathlib import Path

import pytest

from deployments.errors import ConfigError
from serve_app.config import environment


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
    [
        {"QDRANT_URL": "localhost:6333"},
        {"QDRANT_URL": "ftp://q"},
        {"QDRANT_GRPC_URL": "http://q:6334"},
        {"QDRANT_API_KEY": "k", "QDRANT_JWT_RBAC": "perhaps"},
        {"QDRANT_JWT_RBAC": "true"},
        {"QDRANT_API_KEY": "k", "QDRANT_INFERENCE_TENANTS": "/nowhere"},
        {"QDRANT_INFERENCE_TENANTS": __file__},
    ],
)
def test_a_wrong_variable_is_named(variables: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"environment: .*") as caught:
        environment.read(variables)
    assert list(variables)[-1].lower() in str(caught.value).lower()


def test_postgresql_without_its_extra_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "find_spec", lambda _: None)
    assert environment.read({"QDRANT_INFERENCE_DATABASE_URL": "sqlite:////tmp/ledger"})
    with pytest.raises(ConfigError, match=r"QDRANT_INFERENCE_DATABASE_URL: .*extra 'postgres'"):
        environment.read({"QDRANT_INFERENCE_DATABASE_URL": "postgresql://u:p@host/database"})


def test_the_door_is_open_until_there_is_a_key() -> None:
    assert not environment.read({}).asks_for_a_key
    assert not environment.read({"QDRANT_API_KEY": "", "QDRANT_JWT_RBAC": "false"}).asks_for_a_key
    assert environment.read({"QDRANT_API_KEY": "k"}).asks_for_a_key
    assert environment.read({"QDRANT_READ_ONLY_API_KEY": "k"}).asks_for_a_key


@pytest.mark.parametrize("key", ["with-a-line-end\n", "with a space", "schlüssel", "\x7f"])
def test_a_key_that_no_header_carries_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigError, match=r"QDRANT_API_KEY: .*visible ASCII") as caught:
        environment.read({"QDRANT_API_KEY": key})
    assert key not in f"{caught.value} {caught.value.__cause__}"


def test_no_key_is_shown_where_another_variable_is_wrong() -> None:
    with pytest.raises(ConfigError) as caught:
        environment.read({"QDRANT_API_KEY": "my-secret", "QDRANT_GRPC_URL": "http://q:6334"})
    assert "my-secret" not in f"{caught.value} {caught.value.__cause__!r} {caught.value.__cause__}"
