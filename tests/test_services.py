"""The embedded PostgreSQL and Valkey: where they can live, that they keep data and never outlive their parent."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from bot import services
from bot.errors import BotError, SettingsError
from bot.settings import ROOT, role_of


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data folder that PostgreSQL's own user can reach when we are root, which pytest's tmp_path is not."""
    made = Path(tempfile.mkdtemp(prefix="parley services "))
    made.chmod(0o755)
    yield made / "data folder"
    shutil.rmtree(made, ignore_errors=True)


def test_data_outlives_a_restart_in_a_path_with_blanks(folder: Path) -> None:
    """What was written is there after stop and start; both services live in a folder with blanks in its name."""
    with started(folder) as running, psycopg.connect(running.owner_url) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('hello')")
    with started(folder) as running, psycopg.connect(running.owner_url) as connection:
        kept = connection.execute("SELECT word FROM kept").fetchall()
        with redis.Redis.from_url(running.redis_url) as cache:
            answer = cache.ping()

    assert [("hello",)] == kept
    assert answer is True


def test_a_deep_folder_is_no_obstacle(folder: Path) -> None:
    """A socket's path has about a hundred bytes; deeper data folders get a short one elsewhere."""
    deep = folder.joinpath(*["a rather long name of a folder"] * 5)
    with started(deep) as running, psycopg.connect(running.app_url) as connection:
        who = connection.execute("SELECT current_user").fetchone()

    assert len(str(deep)) > services.MAX_SOCKET_PATH
    assert (services.APP,) == who


def test_stopping_leaves_no_process(folder: Path) -> None:
    """After stop neither server is left."""
    with started(folder):
        servers = servers_of(folder)

    assert {"postgres", "valkey-server"} == {name for name, _ in servers}
    assert [] == [pid for _, pid in servers if psutil.pid_exists(pid)]


def test_children_end_with_a_parent_that_was_killed(folder: Path) -> None:
    """Kill -9 of whoever started them ends both servers within the leash's patience, and the data is whole."""
    code = (
        "import sys, time; from pathlib import Path; from bot import services;"
        "services.start(Path(sys.argv[1])); print('up', flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        assert "up\n" == parent.stdout.readline()
        servers = servers_of(folder)
        parent.send_signal(signal.SIGKILL)
    until = time.monotonic() + 15
    while time.monotonic() < until and any(psutil.pid_exists(pid) for _, pid in servers):
        time.sleep(0.1)

    assert 2 == len(servers)
    assert [] == [pid for _, pid in servers if psutil.pid_exists(pid)]


def test_a_server_left_by_a_crash_is_replaced(folder: Path) -> None:
    """A PostgreSQL that nobody stopped does not keep the next start from working."""
    program = services.postgres(folder)
    with program.log.open("ab") as log:
        left = subprocess.Popen(program.command, stdout=log, stderr=log, **program.options())
    services.wait_for_postgres(folder, lambda: left.poll() is None)
    with started(folder) as running, psycopg.connect(running.app_url) as connection:
        answer = connection.execute("SELECT 1").fetchone()
    left.wait(5)

    assert (1,) == answer


def test_files_of_another_version_are_refused(folder: Path) -> None:
    """A data folder of another PostgreSQL is left alone, in one sentence."""
    (folder / "postgres").mkdir(parents=True)
    (folder / "postgres" / "PG_VERSION").write_text("15\n")

    with pytest.raises(BotError, match=r"is of PostgreSQL 15, this is 18"):
        services.postgres(folder)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    """A data folder below a file is named, with what to do."""
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match=r"cannot be made .*choose another --data-dir"):
        services.make_folder(tmp_path / "file" / "data")


# -- what each role may do -----------------------------------------------------------------------------------------


def test_the_engine_is_not_the_owner(owner_url: str, app_url: str) -> None:
    """Two roles: the engine's cannot become the owner, nor is either a superuser."""
    with psycopg.connect(app_url) as connection:
        rights = connection.execute(
            "SELECT current_user = %s, pg_has_role(%s, 'MEMBER'), usesuper FROM pg_user WHERE usename = current_user",
            [services.APP, services.OWNER],
        ).fetchone()

    assert services.OWNER == role_of(owner_url)
    assert (True, False, False) == rights


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE consent_events SET action = 'opted_in'",
        "DELETE FROM consent_events",
        "TRUNCATE consent_events",
        "UPDATE consent_evidence SET ip = ''",
        "UPDATE review_events SET intent = ''",
        "DELETE FROM review_events",
        "UPDATE publications SET model = ''",
        "DELETE FROM publications",
        "DROP TABLE consent_events",
        "ALTER TABLE messages ADD COLUMN extra text",
        "UPDATE alembic_version SET version_num = ''",
    ],
)
def test_the_engine_cannot_rewrite_consent_or_tables(app_url: str, statement: str) -> None:
    """The ledger is added to and never changed, whatever the engine is made to say."""
    with psycopg.connect(app_url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_the_engine_may_do_the_rest(app_url: str) -> None:
    """Every other table it reads and writes freely."""
    kept = ("consent_events", "consent_evidence", "review_events", "publications", "alembic_version")
    with psycopg.connect(app_url) as connection:
        lacking = connection.execute(
            "SELECT relname, privilege"
            " FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND NOT relname = ANY(%s)"
            " AND NOT has_table_privilege(pg_class.oid, privilege)",
            [list(kept)],
        ).fetchall()

    assert [] == lacking


# -- helpers -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def started(folder: Path) -> Iterator[services.Running]:
    """Both services for a while."""
    running = services.start(folder)
    try:
        yield running
    finally:
        running.stop()


def servers_of(folder: Path) -> list[tuple[str, int]]:
    """Name and number of the main process of each server that works in this folder."""
    return [
        (process.info["name"], process.info["pid"])
        for process in psutil.process_iter(["name", "pid", "cmdline"])
        if process.info["cmdline"]
        and str(folder) in " ".join(process.info["cmdline"])
        and process.info["name"] in ("postgres", "valkey-server")
    ]
