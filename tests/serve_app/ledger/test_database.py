"""The database, SQLite and PostgreSQL alike."""

from __future__ import annotations

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from deployments.errors import LedgerUnavailable
from serve_app.ledger import migration
from serve_app.ledger.additions import Added, Claimed, Removed, Row, Told
from serve_app.ledger.counts import Count, Counts, Key
from serve_app.ledger.database import ALIVE_S, Database
from serve_app.ledger.switches import SwitchChange
from serve_app.ledger.sync import SyncRequest
from serve_app.ledger.tables import METADATA


def request(
    sequence: int = 1, tokens: int = 10, replica: str = "a", tenant: str = "shop", at: float = 1000.0
) -> SyncRequest:
    counts = Counts()
    counts.add(Key(400_000, "m", tenant, "update"), Count(1, 2, tokens, 1))
    return SyncRequest(replica, sequence, at, counts, {"from": replica})


def rows(database: Database) -> list[tuple[int, int, int]]:
    return [(row["requests"], row["objects"], row["tokens"]) for row in database.usage(0, 500_000, None, ())]


def test_requests_add_up(database_url: str) -> None:
    database = Database(database_url)
    database.sync(request(1), 0, ())
    database.sync(request(2, tokens=5), 0, ())
    database.sync(request(1, replica="b"), 0, ())
    assert rows(database) == [(3, 6, 25)]
    database.close()


def test_a_request_that_comes_again_is_counted_once(database_url: str) -> None:
    database = Database(database_url)
    for _ in range(3):
        database.sync(request(1), 0, ())
    database.sync(request(2), 0, ())
    database.sync(request(1), 0, ())
    assert rows(database) == [(2, 4, 20)]
    database.close()


def test_the_same_request_from_two_connections_at_once_is_counted_once(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(4)]
    databases[0].sync(request(1, tokens=0), 0, ())
    start = threading.Barrier(4)

    def send(database: Database) -> None:
        start.wait()
        database.sync(request(2), 0, ())

    threads = [threading.Thread(target=send, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(databases[0]) == [(2, 4, 10)]
    for database in databases:
        database.close()


def test_many_replicas_that_start_and_write_at_once_lose_nothing(database_url: str) -> None:
    """Each finds an empty database: one of them migrates it."""
    replicas, requests = 6, 10
    start = threading.Barrier(replicas)
    failures: list[BaseException] = []

    def run(name: str) -> None:
        database = Database(database_url)
        start.wait()
        try:
            for sequence in range(1, requests + 1):
                database.sync(request(sequence, tokens=1, replica=name), 0, ())
        except BaseException as error:  # noqa: BLE001  shown below
            failures.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=run, args=(str(number),)) for number in range(replicas)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    database = Database(database_url)
    assert rows(database) == [(60, 120, 60)]
    database.close()


def test_a_response_has_the_snapshots_of_the_other_living_replicas(database_url: str) -> None:
    database = Database(database_url)
    database.sync(request(replica="gone", at=1000.0 - ALIVE_S), 0, ())
    database.sync(request(replica="b", at=999.0), 0, ())
    assert database.sync(request(replica="a"), 0, ()).others == [{"from": "b"}]
    others = database.pull(request(replica="c"), 0, ()).others
    assert sorted(other["from"] for other in others) == ["a", "b"]
    database.close()


def test_a_month_is_summed_by_tenant_and_model(database_url: str) -> None:
    database = Database(database_url)
    database.sync(request(1), 0, ())
    database.sync(request(2, tenant="bakery", tokens=7), 0, ())
    database.sync(request(3, tenant="unlimited"), 0, ())
    response = database.sync(request(4), 400_000, ("shop", "bakery"))
    assert response.spent == {("shop", "m"): 20, ("bakery", "m"): 7}
    assert database.pull(request(), 400_001, ("shop",)).spent == {}
    database.close()


def test_usage_comes_by_tenant_and_operation_if_that_is_asked_for(database_url: str) -> None:
    database = Database(database_url)
    database.sync(request(1), 0, ())
    database.sync(request(2, tenant="bakery"), 0, ())
    usage = database.usage(0, 500_000, None, ("tenant", "operation"))
    assert [(row["tenant"], row["operation"], row["tokens"]) for row in usage] == [
        ("bakery", "update", 10),
        ("shop", "update", 10),
    ]
    assert [row["tokens"] for row in database.usage(0, 500_000, "shop", ())] == [10]
    assert database.usage(0, 400_000, None, ()) == []
    assert database.usage(400_001, 500_000, None, ()) == []
    database.close()


def test_tokens_may_be_more_than_32_bits(database_url: str) -> None:
    database = Database(database_url)
    for sequence in (1, 2):
        database.sync(request(sequence, tokens=2**40), 0, ())
    (row,) = rows(database)
    assert row[2] == 2**41
    assert type(row[2]) is int
    database.close()


def test_switches_stay_until_they_are_switched_back(database_url: str) -> None:
    first = Database(database_url)
    first.switch(SwitchChange(models={"m": False}, collections={"c": False}))
    first.switch(SwitchChange(inference=False, models={"m": False}))
    first.close()
    second = Database(database_url)
    switches = second.pull(request(), 0, ()).switches
    assert (switches.all_off, switches.models, switches.collections) == (True, {"m"}, {"c"})
    switches = second.switch(SwitchChange(inference=True, models={"m": True, "never": True}))
    assert (switches.all_off, switches.models, switches.collections) == (False, set(), {"c"})
    second.close()


def test_the_migrations_make_the_tables_that_the_code_uses(database_url: str) -> None:
    database = Database(database_url)
    database.sync(request(), 0, ())
    with database._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    database.close()


def test_the_newest_migration_is_the_one_that_is_asked_for() -> None:
    assert ScriptDirectory(str(migration._FOLDER)).get_current_head() == migration.HEAD


def reopened_at_version(version: str, url: str) -> Database:
    """A database with one request in it, opened anew after its schema was said to have this version."""
    database = Database(url)
    database.sync(request(), 0, ())
    with database._engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")
    database.close()
    return Database(url)


def test_what_was_counted_before_requests_were_counted_once_keeps_its_sums(database_url: str) -> None:
    database = Database(database_url)
    database.sync(request(), 0, ())
    with database._engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE usage DROP COLUMN whole_requests")
        connection.exec_driver_sql("DROP TABLE added_models")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    database.close()
    migrated = Database(database_url)
    migrated.sync(request(2), 0, ())
    (row,) = migrated.usage(0, 500_000, None, ())
    assert (row["requests"], row["whole_requests"]) == (2, 2)
    migrated.close()


def test_a_schema_that_a_newer_version_has_migrated_is_left_alone(database_url: str) -> None:
    database = reopened_at_version("9999", database_url)
    database.sync(request(2), 0, ())
    assert rows(database) == [(2, 4, 20)]
    database.close()


def test_a_schema_that_cannot_be_migrated_is_an_error_of_its_own(database_url: str) -> None:
    database = reopened_at_version("0000", database_url)
    with pytest.raises(LedgerUnavailable, match="a schema that cannot be migrated"):
        database.sync(request(2), 0, ())
    database.close()


@pytest.mark.parametrize("url", ["sqlite:////proc/nothing/ledger", "postgresql://nobody@127.0.0.1:1/nothing"])
def test_a_database_that_cannot_be_reached_is_an_error_of_its_own(url: str) -> None:
    if url.startswith("postgresql"):
        pytest.importorskip("psycopg")
    with pytest.raises(LedgerUnavailable, match="kept in memory"):
        Database(url).sync(request(), 0, ())


def test_an_added_model_has_one_row_and_one_owner(database_url: str) -> None:
    database = Database(database_url)
    row = Row("m", "{}", "one", 1000.0)
    assert database.change_added(Added(row)) == (True, [row])
    assert database.change_added(Added(row._replace(owner="other"))) == (False, [row])
    assert database.change_added(Told(row._replace(owner="other"))) == (False, [row])
    assert database.change_added(Claimed("m", "other", 1010.0, before=1000.0)) == (False, [row])
    taken = row._replace(owner="other", at=1020.0)
    assert database.change_added(Claimed("m", "other", 1020.0, before=1005.0)) == (True, [taken])
    assert database.change_added(Told(row)) == (False, [taken])
    assert database.pull(request(), 0, ()).added == [taken]
    assert database.change_added(Removed("m")) == (True, [])
    assert database.change_added(Removed("m")) == (False, [])
    database.close()
