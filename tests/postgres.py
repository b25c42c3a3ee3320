"""A real PostgreSQL for tests: on a port of its own, in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stack import free_port, listens, wait_for


def program(name: str) -> str:
    """A PostgreSQL program: Debian keeps them off the path."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = str(debian[-1]) if debian else shutil.which(name)
    assert found, f"PostgreSQL's {name} is not installed"
    return found


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """Start PostgreSQL; yields the address of an empty database."""
    # It refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="parley-postgres-"))
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
    process = subprocess.Popen(
        [*words, "-h", "127.0.0.1", "-c", "fsync=off"],
        user=user,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for("PostgreSQL", lambda: listens(port), within_s=30)
        yield f"postgres://parley@127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)
