"""The ingress as Ray Serve makes it, without a cluster."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from serve_app.config.arguments import Arguments
from serve_app.ingress import Ingress
from serve_app.ledger.database import Database
from serve_app.ledger.switches import SwitchChange, Switches


@pytest.mark.filterwarnings("ignore:coroutine '.*__del__' was never awaited")  # which Ray Serve does
@pytest.mark.slow
async def test_a_replica_knows_what_is_switched_off_before_it_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QDRANT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("QDRANT_INFERENCE_DATA", str(tmp_path))
    database = Database(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    database.switch(SwitchChange(models={"m": False}))
    database.close()
    ingress = Ingress.__new__(Ingress)
    await ingress.__init__(Arguments(models=()), {}, None, None, None)  # type: ignore[misc]
    assert ingress._ledger.switches == Switches(models=frozenset({"m"}))
    await ingress.reconfigure({"timeout_s": 5})
    assert ingress._settings.current.timeout_s == 5
    await ingress.__del__()
    del ingress
    gc.collect()
