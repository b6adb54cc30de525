"""Tenants: their keys are known here alone, and Qdrant sees a key of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from deployments.errors import ConfigError, Unauthenticated
from serve_app.auth.access import Authenticator
from serve_app.auth.tenants import Tenant
from serve_app.config import environment
from tests.support.gateway import UPSERT
from tests.support.guarded import KEY, KEYS, QUERY, READ_ONLY, Guarded, query
from tests.support.inference_calls import asked, text


@pytest.fixture
def tenants(tmp_path: Path) -> Path:
    """Two tenants: `shop` has two keys and writes, `report` has one and reads."""
    digests = {key: hashlib.sha256(key.encode()).hexdigest() for key in ("shop-1", "shop-2", "report-1")}
    path = tmp_path / "tenants.yaml"
    path.write_text(
        f"tenants:\n"
        f"  - {{name: shop, keys: [{digests['shop-1']}, {digests['shop-2']}]}}\n"
        f"  - {{name: report, access: r, keys: [{digests['report-1']}]}}\n"
    )
    return path


@pytest.mark.parametrize(
    ("variables", "key", "tenant", "upstream_key"),
    [
        (KEYS, "shop-1", "shop", KEY),
        (KEYS, "shop-2", "shop", KEY),
        (KEYS, "report-1", "report", READ_ONLY),
        ({"QDRANT_API_KEY": KEY}, "report-1", "report", KEY),
    ],
)
async def test_a_tenants_key_is_known_here_and_qdrant_sees_its_own(
    tenants: Path, variables: dict[str, str], key: str, tenant: str, upstream_key: str
) -> None:
    gateway = Guarded(**variables, QDRANT_INFERENCE_TENANTS=str(tenants))
    for shown in ({"api_key": key}, {"authorization": f"Bearer {key}"}):
        assert (await gateway.send("POST", "/collections/c/points/query", QUERY, **shown)).status_code == 200
        assert (await gateway.call("/qdrant.Points/Query", query(), **shown))[0] is None
    assert gateway.qdrant.seen == [(tenant, [("api-key", upstream_key)])] * 4


def test_an_empty_key_is_nobodys(tenants: Path) -> None:
    authenticator = Authenticator(environment.read({**KEYS, "QDRANT_INFERENCE_TENANTS": str(tenants)}))
    authenticator._tenants = {hashlib.sha256(b"").hexdigest(): Tenant(name="a", keys=("a" * 64,))}
    for ask in (authenticator.known, authenticator.admit_server):
        with pytest.raises(Unauthenticated):
            ask(b"")


async def test_a_tenant_that_reads_does_not_write(tenants: Path) -> None:
    gateway = Guarded(**KEYS, QDRANT_INFERENCE_TENANTS=str(tenants))
    assert (await gateway.send("PUT", "/collections/c/points", UPSERT, api_key="report-1")).status_code == 403
    assert (await gateway.send("PUT", "/collections/c/points", UPSERT, api_key="nobody")).status_code == 401
    assert gateway.untouched
    assert (await gateway.send("DELETE", "/collections/c", api_key="shop-2")).status_code == 200


async def test_a_qdrant_server_may_be_a_tenant(tenants: Path) -> None:
    gateway = Guarded(**KEYS, QDRANT_INFERENCE_TENANTS=str(tenants))
    assert (await gateway.send("POST", "/inference", {**asked(text("a")), "token": "shop-1"})).status_code == 200


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("tenants: []", "tenants"),
        ("tenants: [{name: a, keys: []}]", "tenants.0.keys"),
        ("tenants: [{name: a, keys: [a-key-in-the-open]}]", "tenants.0.keys.0"),
        (f"tenants: [{{name: a, keys: [{'a' * 64}], access: rw}}]", "tenants.0.access"),
        (f"tenants: [{{name: a, keys: [{'a' * 64}]}}, {{name: b, keys: [{'a' * 64}]}}]", "the key 'aaa"),
        (f"tenants: [{{name: a, keys: [{'a' * 64}]}}, {{name: a, keys: [{'b' * 64}]}}]", "the name 'a' is there 2"),
        (f"tenants: [{{name: a, keys: [{hashlib.sha256(b'').hexdigest()}]}}]", "'a' is the SHA-256 of an empty key"),
    ],
)
def test_a_wrong_file_of_tenants_is_named_and_no_key_of_it_shown(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "tenants.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        Authenticator(environment.read({**KEYS, "QDRANT_INFERENCE_TENANTS": str(path)}))
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    assert "in-the-open" not in f"{caught.value} {caught.value.__cause__}"
