"""A sealed copy answers one SELECT over its tables, and nothing else, whatever is asked."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from halo_otel.errors import BadQuery
from halo_otel.window.sealed import Limits, Sealed, Shown, Table, sealed
from halo_otel.window.single import SingleWindow
from tests.analysis.conftest import Traffic, batch

ROOT = Path(__file__).parents[2]
RUNS = 12
SPANS = Table(
    name="spans",
    query="select trace_id, span_id, name, start_ns, tool_name as tool, tool_arguments as arguments"
    " from spans",
    key=("trace_id", "start_ns"),
    columns={},
    texts=("arguments",),
)
ELSE = Table(name="names", query="select distinct name from spans", key=("name",), columns={})


@pytest.fixture(scope="module")
def copy() -> Iterator[Sealed]:
    with SingleWindow() as window:
        window.insert(batch(Traffic().healthy(RUNS).rows))
        with window.view() as view, sealed(view, (SPANS, ELSE), limits=Limits(seconds=1.5)) as it:
            yield it


@pytest.mark.parametrize(
    "sql",
    [
        "from 'secrets.csv'",
        "from read_csv('/etc/passwd')",
        "from read_text('*')",
        "from read_blob('*')",
        "from read_json_auto('x')",
        "from parquet_scan('x')",
        "from glob('*')",
        "from sniff_csv('x')",
        "copy spans to 'x.csv'",
        "copy (select 1) to 'x.csv'",
        "attach 'x.duckdb'",
        "detach copy",
        "use memory",
        "install httpfs",
        "load json",
        "pragma version",
        "pragma database_list",
        "set threads = 9",
        "set lock_configuration = false",
        "set enable_external_access = true",
        "reset threads",
        "select current_setting('temp_directory')",
        "select getvariable('x')",
        "select getenv('HOME')",
        "from duckdb_databases()",
        "from duckdb_settings()",
        "from duckdb_secrets()",
        "from duckdb_tables",
        "from duckdb_views",
        "from sqlite_master",
        "from pg_catalog.pg_tables",
        "from information_schema.tables",
        "from main.spans",
        "from copy.main.spans",
        "from system.main.duckdb_tables",
        "show tables",
        "show databases",
        "describe spans",
        "from (describe spans)",
        "from (show databases)",
        "summarize spans",
        "explain select 1",
        "explain analyze select 1",
        "call pragma_version()",
        "from pragma_database_size()",
        "select * from query('from duckdb_databases()')",
        "from query_table(['spans'])",
        "from json_execute_serialized_sql('x')",
        "select json_execute_serialized_sql('x')",
        "with duckdb_databases as (select 1) from duckdb_databases",
        "with duckdb_tables as (select 1 as x) from duckdb_tables",
        'with "x.csv" as (select 1) from "x.csv"',
        "with spans as (select 1) from spans",
        "select * from spans where exists (with sqlite_master as (select 1) from sqlite_master)",
        "create table x as select 1",
        "create macro f() as 1",
        "insert into spans select * from spans",
        "delete from spans",
        "update spans set name = ''",
        "drop table spans",
        "with x as (insert into spans select 1) from x",
        "begin",
        "checkpoint",
        "vacuum",
        "export database 'x'",
        "prepare a as select 1",
        "pivot spans on name using count(*)",
        "from (pivot spans on name using count(*))",
        "select 1; select 2",
        "select 1; attach 'x'",
        "/* only */ -- a comment",
        "",
        ";",
        "select 1 /* open",
        "selec 1",
        "select now()",
        "select current_timestamp",
        "select current_date",
        "select localtime",
        "select age(timestamp '2024-01-01')",
        "select user",
        "select current_user",
        "select random()",
        "select uuid()",
        "select gen_random_uuid()",
        "select txid_current()",
        "select version()",
        "select nextval('x')",
        "select write_log('x')",
        "select error('x')",
        "select sleep_ms(60000)",
        "select pg_sleep(60)",
        "select rowid from spans",
        "from spans tablesample 10%",
        "from spans at (version => 1)",
        "select \ud800",
        "select '" + "x" * 9_000 + "'",
    ],
)
def test_what_is_no_select_over_the_tables_is_refused(copy: Sealed, sql: str) -> None:
    with pytest.raises(BadQuery):
        copy.ask(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from range(1000000000000)",
        "select sum(a.range) from range(1000000000) a, range(1000000) b",
        "with recursive a as (select 1 as x union all select x + 1 from a) select count(*) from a",
        "select length(repeat('x', 4000000000))",
        "select repeat('x', 400000000)",
        "select len(range(1000000000))",
        "select list(range) from range(1000000000)",
        "select len(list_transform(range(10000000), lambda x: repeat('a', 1000)))",
        "select lpad('x', 2000000000, 'y')",
        "select length(string_agg(repeat('x', 100000), '')) from range(100000)",
        "with a as (select repeat('x', 100000) t), b as (select replace(t, 'x', t) t from a)"
        " select length(t) from b",
    ],
)
def test_what_takes_too_much_is_ended_and_the_next_query_answered(copy: Sealed, sql: str) -> None:
    with pytest.raises(BadQuery, match=r"ask for less|larger than"):
        copy.ask(sql)
    assert copy.ask("select count(distinct trace_id) from spans").rows == ((RUNS,),)


def test_no_file_is_made_or_read_by_any_of_it(copy: Sealed, tmp_path: Path) -> None:
    target = tmp_path / "leak.csv"
    for sql in (f"copy spans to '{target}'", f"export database '{tmp_path / 'all'}'"):
        with pytest.raises(BadQuery):
            copy.ask(sql)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "sql",
    [
        "select tool, count(*) as n from spans group by all order by all",
        "from names",
        "with a as (select 1 as x) select * from a join spans on true order by all limit 2",
        "select name, row_number() over (partition by trace_id order by start_ns) from spans"
        " qualify row_number() over (order by start_ns) = 1",
        "select arguments ->> '$.q', json_valid(arguments) from spans where tool = 'search' limit 1",
        "select list_transform([1, 2], lambda x: x + 1), unnest([1, 2])",
        "select median(start_ns), quantile_cont(start_ns, 0.9), histogram(tool) from spans",
        "select count(*) filter (where name like 'exec%'), regexp_matches(any_value(name), 'x') from spans",
        "select (select max(start_ns) from spans), exists (select 1 from names)",
        "select trace_id from spans except select 'x' order by 1 limit 1",
        "select * exclude (name) from spans limit 1",
        "select s.name from spans s left join spans p using (trace_id) order by 1 limit 1",
        "from range(3)",
        "values (1), (2)",
        "select 1; -- and no more",
        "select distinct on (trace_id) trace_id, name from spans order by all limit 1",
        "select split_part(name, ' ', 2), if(true, 1, 2), name[1:3] from spans limit 1",
    ],
)
def test_ordinary_questions_are_answered_the_same_each_time(copy: Sealed, sql: str) -> None:
    answer = copy.ask(sql)
    assert answer.rows
    assert copy.ask(sql) == answer


def test_values_bind_and_are_never_sql(copy: Sealed) -> None:
    hostile = "'; drop table spans; --"
    assert copy.ask("select $1 as a, $2 as b", [hostile, 3]).rows == ((hostile, 3),)
    with pytest.raises(BadQuery):
        copy.ask("select $1", [])


def test_rows_pages_and_cells_are_bounded(copy: Sealed) -> None:
    every = copy.ask("select range as n from range(1000)", rows=1000)
    assert not every.more
    assert [n for (n,) in every.rows] == list(range(1000))
    page = copy.ask("select range as n from range(1000)", rows=10, offset=985)
    assert ([n for (n,) in page.rows], page.more) == (list(range(985, 995)), True)
    wide = copy.ask("select repeat('x', 10000) as t from range(1000)", rows=1000)
    assert wide.more
    assert (
        sum(len(json.dumps(row, ensure_ascii=False).encode()) for row in wide.rows)
        <= copy.limits.bytes_max
    )
    assert wide.rows[0][0].endswith(f"… (+{10000 - copy.limits.cell_chars} characters)")


def test_the_tables_may_be_taken_for_empty(copy: Sealed) -> None:
    assert copy.ask("select count(*) from spans", empty=True).rows == ((0,),)
    assert copy.ask("select max(start_ns) from spans", empty=True).rows == ((None,),)
    assert copy.ask("select count(*) from spans join names using (name)").tables == {
        "spans",
        "names",
    }


def test_any_value_is_json(copy: Sealed) -> None:
    sql = (
        "select 1::hugeint << 100, 'nan'::double, '\\xff'::blob, date '2024-01-01', 1.50::decimal(4, 2),"
        " {'a': [1, null]}, map {'k': 2}, interval 1 day, true, null, 2::utinyint"
    )
    (row,) = copy.ask(sql).rows
    assert row[0] == str(1 << 100)
    assert row[1] == "nan"
    assert row[4:7] == ("1.50", {"a": [1, None]}, {"k": 2})
    assert row[8:] == (True, None, 2)


def test_texts_are_as_shown_before_any_query_sees_them() -> None:
    asked: list[str] = []

    def shown(text: str) -> str:
        asked.append(text)
        return text.replace("trip", "[place]")

    with SingleWindow() as window:
        window.insert(batch(Traffic().healthy(RUNS).rows))
        with window.view() as view, sealed(view, (SPANS,), Shown(text=shown)) as it:
            said = it.ask("select string_agg(arguments, '') from spans").rows[0][0]
            assert "[place]" in said
            assert it.ask("select count(*) from spans where arguments like '%trip%'").rows == (
                (0,),
            )
            rows = it.rows("select count(*), count(arguments) from spans")
            copied = view.con.execute(
                "select count(*), count(tool_arguments) from spans"
            ).fetchall()
    assert rows == copied
    assert len(asked) == len(set(asked))


def test_only_suspects_are_asked_for() -> None:
    asked: list[str] = []

    def shown(text: str) -> str:
        asked.append(text)
        return "[place]"

    with SingleWindow() as window:
        window.insert(batch(Traffic().healthy(RUNS).rows))
        with window.view() as view:
            with sealed(view, (SPANS,)) as it:
                plain = it.rows("select * exclude (arguments), arguments from spans")
            with sealed(view, (SPANS,), Shown(text=shown, suspect="trip 1[0-9]* ")) as it:
                some = it.rows("select * exclude (arguments), arguments from spans")
    assert asked
    assert all("trip 1" in text for text in asked)
    assert [(*row[:-1], "[place]" if row[-1] in asked else row[-1]) for row in plain] == some


def test_the_copy_vanishes_and_closing_twice_is_fine(tmp_path: Path) -> None:
    with SingleWindow(tmp_path) as window:
        window.insert(batch(Traffic().healthy(2).rows))
        with window.view() as view:
            with sealed(view, (SPANS,)) as it:
                assert list(tmp_path.rglob("copy.duckdb"))
                assert it.ask("select 1").rows == ((1,),)
                it.close()
            assert not list(tmp_path.rglob("copy.duckdb"))
            assert view.con.execute("select count(*) from spans").fetchone() is not None


def test_several_threads_may_ask_at_once(copy: Sealed) -> None:
    found: list[int] = []

    def ask(number: int) -> None:
        found.append(
            copy.ask("select $1::int + count(distinct trace_id) from spans", [number]).rows[0][0]
        )

    threads = [Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [RUNS + number for number in range(8)]


def of_one_file() -> Iterator[Sealed]:
    with SingleWindow() as window:
        window.insert(batch(Traffic().healthy(RUNS).rows))
        with window.view() as view, sealed(view, (SPANS, ELSE), limits=Limits(seconds=1.5)) as it:
            yield it


@pytest.fixture
def fresh() -> Iterator[Sealed]:
    yield from of_one_file()


SAID = {"grp": "VARCHAR", "score": "DOUBLE", "n": "BIGINT"}


def test_a_table_that_is_brought_is_read_like_the_others(fresh: Sealed) -> None:
    ((trace,),) = fresh.ask("select min(trace_id) from spans").rows
    with pytest.raises(BadQuery, match="there is no table"):
        fresh.ask("from said")
    fresh.bring("said", SAID, [[trace, None], [0.5, 1.5], [1, 1 << 60]])
    joined = "select distinct score, n from said join spans on grp = trace_id"
    answer = fresh.ask(joined)
    assert answer.rows == ((0.5, 1),)
    assert answer.tables == {"said", "spans"}
    assert fresh.ask("select sum(n) from said where grp is null").rows == ((1 << 60,),)
    assert fresh.ask("select count(*) from said", empty=True).rows == ((0,),)
    assert fresh.ask(joined, empty=True).rows == ()


def test_a_table_that_was_brought_never_changes_and_outlives_its_process(fresh: Sealed) -> None:
    fresh.bring("said", SAID, [["a"], [1.0], [1]])
    fresh.bring("said", SAID, [["b"], [2.0], [2]])
    with pytest.raises(BadQuery):
        fresh.ask("select length(repeat('x', 4000000000))")  # which ends the process
    assert fresh.ask("from said").rows == (("a", 1.0, 1),)
    assert fresh.ask("from said").tables == {"said"}


@pytest.mark.parametrize(
    "sql",
    [
        "from temp.said",
        "from temp.main.said",
        "with said as (select 1) from said",
        "insert into said values ('a', 1, 1)",
        "drop table said",
        "create temp table more as from said",
        "from said_too",
        "from duckdb_tables()",
    ],
)
def test_a_table_that_was_brought_opens_no_other_door(fresh: Sealed, sql: str) -> None:
    fresh.bring("said", SAID, [["a"], [1.0], [1]])
    with pytest.raises(BadQuery):
        fresh.ask(sql)
    assert fresh.ask("from said").rows == (("a", 1.0, 1),)


def test_a_table_may_be_brought_while_others_ask(fresh: Sealed) -> None:
    wrong: list[object] = []

    def work(number: int) -> None:
        fresh.bring(f"said_{number}", SAID, [[str(number)] * 50, [0.1] * 50, [number] * 50])
        for _ in range(5):
            rows = fresh.ask(
                f"select count(*), min(n), count(distinct grp) from said_{number}"
            ).rows
            spans = fresh.rows("select count(distinct trace_id) from spans")
            if (rows, spans) != (((50, number, 1),), [(RUNS,)]):
                wrong.append((rows, spans))

    threads = [Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_tables_that_were_brought_vanish_with_the_copy() -> None:
    for _ in range(2):
        for opened in of_one_file():
            with pytest.raises(BadQuery, match="there is no table"):
                opened.ask("from said")
            opened.bring("said", SAID, [["a"], [1.0], [1]])
            assert opened.ask("from said").rows == (("a", 1.0, 1),)


@pytest.mark.timeout(60)
def test_it_can_be_closed_while_a_thread_is_still_asking() -> None:
    """As when a task was cancelled: nobody waits for its thread any more, which goes on.

    Also where it is told to end before its query has begun.
    """
    with SingleWindow() as window, window.view() as view:
        with sealed(view, (ELSE,), limits=Limits(seconds=600)) as copy:
            said: list[object] = []

            def ask() -> None:
                try:
                    said.append(
                        copy.rows("select count(*) from range(100_000_000_000) where range % 7 = 3")
                    )
                except BadQuery as error:
                    said.append(error)

            thread = Thread(target=ask)
            thread.start()
            while not copy.is_in_use:
                pass
        thread.join()
    assert [type(one) for one in said] == [BadQuery]


GROWN = """
import os
from pathlib import Path
from halo_otel.window.sealed import sealed
from halo_otel.window.single import SingleWindow
from tests.analysis.conftest import Traffic, batch
from tests.window.test_sealed import ELSE

def children():
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()

len(b"x" * (400 << 20))  # more than a query may take, and gone again
with SingleWindow() as window:
    window.insert(batch(Traffic().healthy(1).rows))
    with window.view() as view, sealed(view, (ELSE,)) as copy:
        copy.ask("from names")
        [first] = children()
        copy.ask("from names")
        assert children() == [first], "the process was replaced"
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_what_its_parent_once_had_is_not_counted_as_its_own() -> None:
    """Else each question to an engine that ever had as much costs the start of a process."""
    subprocess.run([sys.executable, "-c", GROWN], cwd=ROOT, check=True, timeout=60)
