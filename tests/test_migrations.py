"""Migrations and tables say the same, and migrating is safe to repeat."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine, inspect, text

from bot import services
from bot.errors import SettingsError
from bot.settings import ROOT, async_url, role_of
from bot.tables import Base
from tests.conftest import create_database, database_url, drop_database


@pytest.fixture
def empty(owner_url: str) -> Iterator[str]:
    """The owner's address of a database with nothing in it."""
    name = f"empty_{uuid4().hex[:12]}"
    create_database(name)
    yield database_url(owner_url, name)
    drop_database(name)


def test_tables_and_migrations_agree(owner_url: str) -> None:
    """Autogenerate finds nothing to add, drop or change, indexes and column types included."""
    engine = create_engine(async_url(owner_url), poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
        difference = compare_metadata(context, Base.metadata)

    assert [] == difference


def test_constraints_agree(owner_url: str) -> None:
    """Checks and exclusions, which autogenerate does not look at, are in the database by the same names."""
    named = {
        (table.name, str(constraint.name))
        for table in Base.metadata.sorted_tables
        for constraint in table.constraints
        if constraint.name is not None
    }
    engine = create_engine(async_url(owner_url), poolclass=NullPool)
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT conrelid::regclass::text, conname FROM pg_constraint"
                " WHERE connamespace = 'public'::regnamespace AND contype <> 'n'"
                " AND conrelid::regclass::text <> 'alembic_version'"
            )
        ).all()

    assert named == {(table, name) for table, name in rows}


def test_an_empty_database_is_brought_up_and_again_without_effect(empty: str, app_url: str) -> None:
    """The first run makes every table, the second none, and the engine can tell that it is done."""
    assert services.migrated(empty) is False

    for _ in range(2):
        services.migrate(empty, role_of(app_url))

    assert services.migrated(empty) is True
    found = set(inspect(create_engine(async_url(empty), poolclass=NullPool)).get_table_names())
    assert set(Base.metadata.tables) | {"alembic_version"} == found


def test_two_machines_may_migrate_at_once(empty: str, app_url: str) -> None:
    """They take turns; neither fails."""
    with ThreadPoolExecutor(2) as pool:
        for migrating in [pool.submit(services.migrate, empty, role_of(app_url)) for _ in range(2)]:
            migrating.result()

    assert services.migrated(empty) is True


def test_a_migration_that_fails_leaves_nothing(empty: str) -> None:
    """All of it is one transaction: a missing role is said in one sentence and no table is left behind."""
    with pytest.raises(SettingsError, match="no role nobody_here, which PARLEY_DATABASE_URL logs in as"):
        services.migrate(empty, "nobody_here")

    assert [] == inspect(create_engine(async_url(empty), poolclass=NullPool)).get_table_names()


def test_a_database_that_cannot_be_reached_is_one_sentence() -> None:
    """The setting to check is named; the address, which may hold a password, is not."""
    with pytest.raises(SettingsError) as caught:
        services.migrate("postgresql://parley:hunter2@127.0.0.1:1/parley", "parley_app")

    assert "the database cannot be reached as its owner; check PARLEY_DATABASE_OWNER_URL" == str(caught.value)


def test_migrations_make_one_line() -> None:
    """One first, one last, each on top of the one before it."""
    services_script = ScriptDirectory(str(ROOT / "migrations"))
    revisions = list(services_script.walk_revisions())

    assert 1 == len(services_script.get_heads())
    assert sorted((each.revision for each in revisions), reverse=True) == [each.revision for each in revisions]
