"""The schema and its history."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from halo_otel.config.sections import Emit
from halo_otel.errors import ConfigError, StateDamaged, Unreachable
from halo_otel.findings import Registry, document, migrations, store
from halo_otel.findings.migrations import MIGRATIONS
from halo_otel.findings.store import Store
from halo_otel.findings.tables import METADATA, findings
from halo_otel.model.finding import Explanation
from halo_otel.selfobs import Counters
from tests.findings.conftest import Build
from tests.findings.replica import PROCESSES


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


def of_version(url: str, version: int) -> None:
    """Make the database one that the program of that schema version left behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "MIGRATIONS", MIGRATIONS[:version])
        older = Store(url)
        older.open()
        older.close()


def _open_each(urls: list[str], barrier: Barrier) -> None:
    for url in urls:
        barrier.wait()
        opened = registry(url)
        opened.open()
        opened.record(Build.report(Build.finding()), Build.run(), Build.start_ns)
        opened.close()


def _die_at(url: str, line: int) -> None:
    """Open the registry and die by SIGKILL at a line of `migrations`, or after it if it has fewer."""
    lines = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if frame.f_code.co_filename != migrations.__file__:
            return None
        lines += event == "line"
        if lines == line:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    registry(url).open()


def test_processes_that_start_at_once_do_not_collide(
    new_database_url: Callable[[], str],
) -> None:
    urls = [new_database_url() for _ in MIGRATIONS]
    for version, url in enumerate(urls):
        if version:  # 0 is an empty database
            of_version(url, version)
    barrier = PROCESSES.Barrier(8)
    starting = [PROCESSES.Process(target=_open_each, args=(urls, barrier)) for _ in range(8)]
    for process in starting:
        process.start()
    for process in starting:
        process.join(120)
    assert [process.exitcode for process in starting] == [0] * 8
    for url in urls:
        opened = Store(url)
        opened.open()
        with opened.reading() as connection:
            numbers = connection.execute(sa.text("SELECT number FROM migrations ORDER BY number"))
            assert numbers.scalars().all() == list(range(1, len(MIGRATIONS) + 1))
            found = connection.execute(sa.select(findings.c.fingerprint)).scalars().all()
            assert found == [Build.finding().fingerprint]
        opened.close()


@pytest.mark.parametrize(("version", "line"), [(0, 2), (0, 9), (1, 3), (3, 6), (5, 4), (5, 9)])
def test_whoever_dies_meanwhile_is_replaced(database_url: str, version: int, line: int) -> None:
    if version:
        of_version(database_url, version)
    dying = PROCESSES.Process(target=_die_at, args=(database_url, line))
    dying.start()
    dying.join(60)
    assert dying.exitcode == -signal.SIGKILL
    opened = registry(database_url)
    opened.open()
    opened.record(Build.report(Build.finding()), Build.run(), Build.start_ns)
    opened.close()


@contextmanager
def as_admin(url: str) -> Iterator[sa.Connection]:
    opened = Store(url)
    opened.open()
    with closing(opened), opened.writing() as connection:
        yield connection


def as_user(url: str, user: str) -> str:
    return url.replace("//halo@", f"//{user}@")


@pytest.mark.parametrize("new_database_url", ["postgresql"], indirect=True)
def test_who_may_only_write_starts_when_the_schema_is_there(database_url: str) -> None:
    user = f"writer_{uuid4().hex}"
    with as_admin(database_url) as connection:
        connection.execute(sa.text(f"CREATE USER {user}"))
        connection.execute(sa.text(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {user}"))
    opened = registry(as_user(database_url, user))
    opened.open()
    opened.record(Build.report(Build.finding()), Build.run(), Build.start_ns)
    opened.close()


@pytest.mark.parametrize("new_database_url", ["postgresql"], indirect=True)
def test_who_may_not_create_or_write_is_told_so(
    database_url: str, new_database_url: Callable[[], str]
) -> None:
    user = f"reader_{uuid4().hex}"
    with as_admin(database_url) as connection:
        connection.execute(sa.text(f"CREATE USER {user}"))
        connection.execute(sa.text(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}"))
    with pytest.raises(ConfigError, match=r"permission denied .*grant it CREATE on the schema"):
        registry(as_user(new_database_url(), user)).open()
    opened = registry(as_user(database_url, user))
    opened.open()
    assert opened.findings() == []
    with pytest.raises(ConfigError, match=r"may not use .*permission denied for table"):
        opened.record(Build.report(Build.finding()), Build.run(), Build.start_ns)
    opened.close()


def cure(url: str) -> str:
    with pytest.raises(Unreachable) as caught:
        registry(url).open()
    said = str(caught.value)
    assert "s3cret" not in said
    assert "s3cret" not in repr(caught.value.__cause__)
    return said


@pytest.mark.parametrize("new_database_url", ["postgresql"], indirect=True)
def test_what_is_wrong_at_the_server_is_said_with_its_cure(
    database_url: str, postgres: str
) -> None:
    with as_admin(database_url) as connection:
        connection.execute(
            sa.text(
                "DO $$BEGIN CREATE USER secretive PASSWORD 'other';"
                " EXCEPTION WHEN duplicate_object THEN NULL; END$$"
            )
        )
    locked = as_user(database_url, "secretive:s3cret")
    assert "check user and password in registry.url" in cure(locked)
    assert "check user and password" in cure(as_user(database_url, "secretive"))
    assert "check user and password" in cure(as_user(database_url, "nobody:s3cret"))
    assert "create the database" in cure(postgres.format(name="nowhere"))
    assert "check registry.url and that" in cure("postgresql://u:s3cret@127.0.0.1:1/halo")
    assert "check registry.url" in cure("postgresql://u@127.0.0.1:1/halo?password=s3cret")
    with as_admin(database_url) as connection:
        name = connection.execute(sa.select(sa.func.current_database())).scalar_one()
        connection.execute(sa.text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    opened = registry(database_url)
    opened.open()
    with pytest.raises(Unreachable, match="name the server that takes writes"):
        opened.record(Build.report(Build.finding()), Build.run(), Build.start_ns)
    opened.close()


def test_a_file_that_is_no_database_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "registry.sqlite"
    path.write_bytes(b"certainly not SQLite" * 100)
    with pytest.raises(StateDamaged, match="restore it from a backup"):
        registry(f"sqlite:///{path}").open()
    assert path.read_bytes().startswith(b"certainly not SQLite")


@pytest.mark.parametrize(
    "url", ["no url", "mysql://host/database", "oracle://x", "postgresql://u:s3cret@host:port/name"]
)
def test_an_unusable_url_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigError, match=r"registry\.url") as caught:
        registry(url)
    assert "s3cret" not in str(caught.value)
