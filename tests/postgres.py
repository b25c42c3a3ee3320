"""A real PostgreSQL for tests: on a port of its own, in a folder of its own; and tests
that run on SQLite and on it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dj_database_url
import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from stack import free_port, wait_for

from voiceproject.backup import program


def new_cluster(folder: Path) -> tuple[list[str], int, str | None]:
    """An empty cluster in a folder: how it is started, at which port, and as whom."""
    # It refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    port = free_port()
    data = folder / "data"
    subprocess.run(
        [program("initdb"), "-D", data, "-U", "parley", "-A", "trust", "--no-sync"],
        user=user,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=60,
    )
    words = [program("postgres"), "-D", str(data), "-p", str(port), "-k", str(folder)]
    return [*words, "-h", "127.0.0.1"], port, user


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """Start PostgreSQL; yields the address of an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="parley-postgres-"))
    words, port, user = new_cluster(folder)
    process = subprocess.Popen(
        [*words, "-c", "fsync=off"],
        user=user,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"postgres://parley@127.0.0.1:{port}/postgres"
    try:
        wait_for("PostgreSQL", lambda: answers(address), within_s=60)
        yield address
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def answers(address: str) -> bool:
    """Whether it does: it listens while it still starts up."""
    try:
        psycopg.connect(address, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


@contextlib.contextmanager
def default_database(known: Any) -> Iterator[None]:
    """All threads' new connections, and this one's, go there meanwhile."""
    before, kept = connections.settings["default"], connections["default"]
    connections.settings["default"] = known
    connections["default"] = connections.create_connection("default")
    try:
        yield
    finally:
        connections["default"].close()
        connections.settings["default"] = before
        connections["default"] = kept


@pytest.fixture(scope="session")
def postgresql(django_db_setup: None, django_db_blocker: Any) -> Iterator[Any]:
    """The settings of a PostgreSQL that has our tables."""
    with postgres_server() as address:
        parsed = dj_database_url.parse(address)
        known = connections.configure_settings({"default": parsed})["default"]
        with django_db_blocker.unblock(), default_database(known):
            call_command("migrate", verbosity=0)
        yield known


@pytest.fixture(params=["sqlite", "postgresql"])
def either_database(
    request: pytest.FixtureRequest, transactional_db: None
) -> Iterator[None]:
    """Once on each."""
    if request.param == "sqlite":
        yield
        return
    with default_database(request.getfixturevalue("postgresql")):
        yield
        with connections["default"].cursor() as cursor:
            cursor.execute("TRUNCATE voice_sessions_voicesession, auth_user CASCADE")
