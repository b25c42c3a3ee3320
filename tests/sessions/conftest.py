"""One running web process for all tests of this folder that need a real one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from stack import Stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    with Stack(programs=("web",)) as running:
        yield running
