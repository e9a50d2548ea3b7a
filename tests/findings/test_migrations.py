"""The schema and its history."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from halo_otel.config.sections import Emit
from halo_otel.errors import ConfigError, StateDamaged, Unreachable
from halo_otel.findings import Registry, document, store
from halo_otel.findings.migrations import MIGRATIONS
from halo_otel.findings.store import Store
from halo_otel.findings.tables import METADATA, findings
from halo_otel.model.finding import Explanation
from halo_otel.selfobs import Counters
from tests.findings.conftest import Build


def registry(url: str) -> Registry:
    return Registry(url, Emit(), Counters())


def test_migrations_lead_to_the_tables_the_code_uses(database_url: str) -> None:
    opened = Store(database_url)
    opened.open()
    with opened.reading() as connection:
        inspector = sa.inspect(connection)
        for table in METADATA.tables.values():
            columns = {column["name"] for column in inspector.get_columns(table.name)}
            assert columns == set(table.columns.keys())
            primary = inspector.get_pk_constraint(table.name)["constrained_columns"]
            assert primary == [column.name for column in table.primary_key]
        recorded = connection.execute(sa.text("SELECT number, name FROM migrations")).all()
    opened.close()
    assert [tuple(row) for row in recorded] == [
        (number, migration.__name__) for number, migration in enumerate(MIGRATIONS, start=1)
    ]


def test_opening_again_changes_nothing(database_url: str) -> None:
    for _ in range(3):
        opened = registry(database_url)
        opened.open()
        opened.open()
        opened.close()
        opened.close()


def test_a_failed_migration_leaves_no_trace(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def m002_breaks(connection: sa.Connection) -> None:
        connection.execute(sa.text("CREATE TABLE half_done (x INTEGER)"))
        connection.execute(sa.text("SELECT * FROM there_is_no_such_table"))

    monkeypatch.setattr(store, "MIGRATIONS", (*MIGRATIONS, m002_breaks))
    with pytest.raises(StateDamaged):
        registry(database_url).open()
    monkeypatch.undo()
    opened = Store(database_url)
    opened.open()
    with opened.reading() as connection:
        assert "half_done" not in sa.inspect(connection).get_table_names()
    opened.close()


def test_a_newer_schema_stops_the_start(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MIGRATIONS", (*MIGRATIONS, lambda connection: None))
    newer = registry(database_url)
    newer.open()
    newer.close()
    monkeypatch.undo()
    with pytest.raises(StateDamaged, match="install the newer version"):
        registry(database_url).open()


def test_an_older_registry_is_upgraded_in_place(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MIGRATIONS", MIGRATIONS[:4])  # before the model tier
    older = Store(database_url)
    older.open()
    told = Build.finding()
    values: dict[str, object] = {
        column.name: "" if isinstance(column.type, sa.Text) else 0
        for column in findings.columns
        if column.name != "explanation"
    }
    values |= {"fingerprint": told.fingerprint, "status": "new", "life": "new"}
    values |= {"document": document.dumps(told), "muted_until_ns": None, "resolved_ns": None}
    values["updated_ns"] = Build.start_ns
    with older.writing() as connection:
        connection.execute(sa.insert(findings).values(values))
    older.close()
    monkeypatch.undo()
    newer = registry(database_url)
    newer.open()
    (found,) = newer.findings()
    assert found.title == told.title
    assert found.explanation is None
    says = Explanation(statement="The cache is off.")
    report = Build.report(replace(told, explanation=says))
    newer.record_model(report, Build.run(), Build.start_ns, dropped_max=1)
    assert newer.finding(told.fingerprint).explanation == says
    newer.close()


def _open(url: str, barrier: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    opened = registry(url)
    opened.open()
    opened.close()


def test_processes_that_start_at_once_do_not_collide(database_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    starting = [context.Process(target=_open, args=(database_url, barrier)) for _ in range(2)]
    for process in starting:
        process.start()
    for process in starting:
        process.join(60)
    assert [process.exitcode for process in starting] == [0, 0]


def test_a_file_that_is_no_database_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    path.write_bytes(b"certainly not SQLite" * 100)
    with pytest.raises(StateDamaged, match="restore it from a backup"):
        registry(f"sqlite:///{path}").open()
    assert path.read_bytes().startswith(b"certainly not SQLite")


@pytest.mark.parametrize("url", ["no url", "mysql://host/database", "oracle://x"])
def test_an_unusable_url_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError, match=r"registry\.url"):
        registry(url)


def test_a_silent_server_is_retryable_and_its_password_is_not_told(postgres: str) -> None:
    url = "postgresql://halo:secret@127.0.0.1:1/halo?connect_timeout=2"
    with pytest.raises(Unreachable) as caught:
        registry(url).open()
    assert "secret" not in str(caught.value)
