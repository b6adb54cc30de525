"""Collections that are switched off, asked for by an alias."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from deployments.errors import SwitchedOff
from serve_app.ledger.switchboard import Switchboard
from serve_app.ledger.switches import Switches
from serve_app.upstream.aliases import Aliases
from tests.support.fakes import FakeQdrant

OFF = Switches(collections=frozenset({"recipes"}))
ANSWER = {"result": {"aliases": [{"alias_name": "food", "collection_name": "recipes"}]}}


async def test_a_collection_that_is_off_is_off_by_its_aliases_too() -> None:
    switchboard, qdrant = Switchboard(OFF), FakeQdrant(ANSWER)
    await Aliases(qdrant, switchboard, SecretStr("k")).look()
    with pytest.raises(SwitchedOff, match="for the collection 'recipes'"):
        switchboard.check("food", ["m"])
    switchboard.check("other", ["m"])
    assert [(r.path, list(r.headers)) for r in qdrant.requests] == [("/aliases", [(b"api-key", b"k")])]


async def test_an_alias_can_be_switched_off_alone() -> None:
    switchboard = Switchboard(Switches(collections=frozenset({"food"})))
    await Aliases(FakeQdrant(ANSWER), switchboard, None).look()
    with pytest.raises(SwitchedOff, match="for the collection 'food'"):
        switchboard.check("food", ["m"])
    switchboard.check("recipes", ["m"])


async def test_while_every_collection_is_on_nobody_asks() -> None:
    qdrant = FakeQdrant(ANSWER)
    await Aliases(qdrant, Switchboard(), None).look()
    assert qdrant.requests == []


async def test_a_qdrant_that_does_not_tell_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    switchboard, qdrant = Switchboard(OFF), FakeQdrant(ANSWER)
    aliases = Aliases(qdrant, switchboard, None)
    await aliases.look()
    qdrant.status = 401
    for _ in range(2):
        await aliases.look()
    assert caplog.text.count("does not tell its aliases (401)") == 1
    assert switchboard.aliases == {"food": "recipes"}
