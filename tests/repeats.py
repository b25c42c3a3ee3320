"""What talks in real time and failed is held once more, by itself.

A talk shares a machine's two cores with one other, and whoever shares the machine is
not asked. So a failure of such a test is looked at again, from new fixtures and with no
other test beside it; and if that fails too, a last time, when the machine is about as
quick as it was at its best, or does not become so. What fails then has failed; what
does not is told at the end, with what had been wrong. Nothing else is tried twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol  # pytest has no public name for it

REPEATED = "repeated"
TIMES = 3
SLOW = 1.5
"""How much longer the same sum takes on a machine that is not itself."""
PATIENCE_S, LOOK_S = 120.0, 5.0
_held = pytest.StashKey[int]()
_due = pytest.StashKey[bool]()


def is_due(item: pytest.Item) -> bool:
    """Whether the test that just ended is to be held again."""
    return item.stash.get(_due, False)


def is_again(item: pytest.Item) -> bool:
    """Whether a test that begins now has been held before."""
    return _held in item.stash


def is_last(item: pytest.Item) -> bool:
    """Whether it will not be held again, whatever comes of it."""
    return item.stash.get(_held, 0) + 1 >= TIMES


def run(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Run a test that may be held again, and take its fixtures down if it will be."""
    item.stash[_held] = item.stash.get(_held, 0) + 1
    where = {"nodeid": item.nodeid, "location": item.location}
    item.ihook.pytest_runtest_logstart(**where)
    reports = runtestprotocol(item, log=False, nextitem=nextitem)
    if any(report.failed and report.when != "teardown" for report in reports):
        item.stash[_due] = True
        reports.append(_taken_down(item))
        for report in reports:
            if report.failed:
                report.outcome = REPEATED  # type: ignore[assignment]
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(**where)


def run_again(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """The same test as if for the first time."""
    item.stash[_due] = False
    item.ihook.pytest_runtest_protocol(item=item, nextitem=nextitem)


def wait_for_pace(
    folder: Path,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    sum_s: Callable[[], float] | None = None,
) -> None:
    """Until the machine is about as quick as anybody of this run has seen it."""
    until = clock() + PATIENCE_S
    while (took_s := (sum_s or _sum_s)()) > SLOW * _best_s(folder, took_s):
        if clock() > until:
            return
        sleep(LOOK_S)


def note_pace(folder: Path) -> None:
    """See how quick the machine is, for those who will wait for it."""
    _best_s(folder, _sum_s())


def _best_s(folder: Path, took_s: float) -> float:
    """The least that was noted, `took_s` among it. Workers may write at once: one of
    two that are alike is lost."""
    path = folder / "least"
    known = float(path.read_text() or "inf") if path.exists() else float("inf")
    if took_s < known:
        path.write_text(repr(took_s))
    return min(took_s, known)


def _sum_s() -> float:
    """What the same sum takes, in seconds; the quickest of three."""
    found = []
    for _ in range(3):
        began = time.perf_counter()
        sum(range(1_000_000))
        found.append(time.perf_counter() - began)
    return min(found)


def _taken_down(item: pytest.Item) -> pytest.TestReport:
    """End the module's fixtures too: they hold what was said."""
    state = item.session._setupstate
    call = pytest.CallInfo.from_call(
        lambda: state.teardown_exact(item.session),  # type: ignore[arg-type]
        when="teardown",
    )
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(
        item=item, call=call
    )
    return report


def pytest_report_teststatus(
    report: pytest.TestReport,
) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """How it is counted and shown."""
    if report.outcome != REPEATED:
        return None
    return REPEATED, "R", ("REPEATED", {"yellow": True})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was wrong the first time."""
    reports = terminalreporter.getreports(REPEATED)
    if not reports:
        return
    terminalreporter.section("held once more, by itself")
    for report in reports:
        where = Path(report.location[0]).name
        terminalreporter.write_line(f"{where}: {report.head_line} ({report.when})")
        terminalreporter.write_line(report.longreprtext)
