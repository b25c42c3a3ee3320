"""What all tests share: no way out to the network, and no quiet skips."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.core.signals import setting_changed
from django.dispatch import receiver
from postgres import either_database, postgresql
from workers import (
    length,
    pytest_configure,
    pytest_runtest_protocol,
    pytest_xdist_make_scheduler,
)

__all__ = [
    "either_database",
    "postgresql",
    "pytest_configure",
    "pytest_runtest_protocol",
    "pytest_xdist_make_scheduler",
]
TESTS = Path(__file__).resolve().parent
HOUSE = ConfigParser()
HOUSE.read(TESTS.parent / ".importlinter")
PURE = [
    TESTS / module.replace(".", "/")
    for module in HOUSE["importlinter:contract:pure"]["source_modules"].split()
]
# A run of every commit adds its own examples to those of the runs before.
hypothesis.settings.register_profile("quick", max_examples=40, deadline=None)
hypothesis.settings.load_profile("quick")
LOOPBACK = ("127.", "::1", "localhost")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts processes is marked by where it lives or what it asks for."""
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.stack)
        if TESTS / "browser" in item.path.parents:
            item.add_marker(pytest.mark.browser)
        if _is_pure(item.path):
            item.add_marker(pytest.mark.pure)
    items.sort(key=lambda item: length(item.path))


def pytest_collection_finish() -> None:
    """What is loaded stays: to look through it once more takes the collector 0.2 s."""
    gc.freeze()


def _is_pure(path: Path) -> bool:
    """Whether a test mirrors one of the modules that import-linter keeps pure."""
    tested = path.with_name(path.stem.removeprefix("test_"))
    return any(tested == pure or pure in tested.parents for pure in PURE)


@receiver(setting_changed)
def _other_caches(setting: str, **_: Any) -> None:
    """Django does so with its own."""
    if setting == "CACHES":
        from sessions import livecache

        livecache._of.cache_clear()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[None]:
    """In CI nothing may be skipped: a skip there is a failure."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the pure tests took: they are to stay under two seconds."""
    ran = [report for reports in terminalreporter.stats.values() for report in reports]
    calls = [report for report in ran if getattr(report, "when", "") == "call"]
    took = [call.duration for call in calls if "pure" in call.keywords]
    if took:
        terminalreporter.write_line(f"pure tests: {sum(took):.1f} s")


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that tries to leave this machine fails."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(LOOPBACK):
            raise AssertionError(f"a test tried to leave the machine: {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
