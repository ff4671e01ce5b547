"""Services every test shares: one embedded PostgreSQL and one Valkey a run, a migrated database a test or module."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from bot import numbers, services, settings
from bot.db import Database
from bot.settings import ROOT, Settings
from bot.shop import shopfile
from tests.engine import Engine

_OWNER = "PARLEY_TEST_OWNER_URL"
_APP = "PARLEY_TEST_APP_URL"
_REDIS = "PARLEY_TEST_REDIS_URL"
_TEMPLATE = "parley_template"


def pytest_configure(config: pytest.Config) -> None:
    """Start the services once, in the process that starts the workers; these find them in the environment."""
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    folder = Path(tempfile.mkdtemp(prefix="parley-tests-"))
    folder.chmod(0o755)  # the embedded PostgreSQL runs as a user of its own when we are root
    running = services.start(folder)
    config.stash[_SERVICES] = (running, folder)
    os.environ[_OWNER], os.environ[_APP] = running.owner_url, running.app_url
    os.environ[_REDIS] = running.redis_url
    create_database(_TEMPLATE)
    services.migrate(database_url(running.owner_url, _TEMPLATE), settings.role_of(running.app_url))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what pytest_configure started."""
    if _SERVICES in config.stash:
        running, folder = config.stash[_SERVICES]
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


_SERVICES = pytest.StashKey[tuple[services.Running, Path]]()


def database_url(url: str, name: str) -> str:
    """The same server and role, another database."""
    from sqlalchemy.engine import make_url

    return make_url(url).set(database=name).render_as_string(hide_password=False)


def create_database(name: str, template: str | None = None) -> None:
    """Make a database owned by the owner role."""
    with psycopg.connect(os.environ[_OWNER], autocommit=True) as connection:
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement = sql.SQL("{} TEMPLATE {}").format(statement, sql.Identifier(template))
        connection.execute(statement)


def drop_database(name: str) -> None:
    """Remove a database, whoever is connected."""
    with contextlib.suppress(psycopg.Error), psycopg.connect(os.environ[_OWNER], autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def fresh_database() -> Iterator[str]:
    """The name of an empty migrated database."""
    name = f"test_{uuid4().hex[:12]}"
    create_database(name, _TEMPLATE)
    yield name
    drop_database(name)


@pytest.fixture
def owner_url(fresh_database: str) -> str:
    """The fresh database for the role that owns the tables."""
    return database_url(os.environ[_OWNER], fresh_database)


@pytest.fixture
def app_url(fresh_database: str) -> str:
    """The fresh database for the engine's role."""
    return database_url(os.environ[_APP], fresh_database)


@pytest.fixture
def redis_url() -> str:
    """The run's Valkey."""
    return os.environ[_REDIS]


@pytest.fixture
async def db(app_url: str) -> AsyncIterator[Database]:
    """A migrated database with the shop of shop.yml and its default number in it, seen as the engine's role sees it."""
    database = Database(app_url, "parley-test")
    async with database.begin() as session:
        await shopfile.sync(session, shopfile.load(ROOT / "shop.yml"))
        await numbers.sync(session, Settings())
    yield database
    await database.close()


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A whole engine of real processes: web, worker, sender, Rasa, on a database of its own."""
    name = f"engine_{uuid4().hex[:12]}"
    create_database(name, _TEMPLATE)
    running = Engine(
        owner_url=database_url(os.environ[_OWNER], name),
        app_url=database_url(os.environ[_APP], name),
        redis_url=os.environ[_REDIS],
    )
    try:
        running.start()
        yield running
    finally:
        running.stop()
        drop_database(name)
