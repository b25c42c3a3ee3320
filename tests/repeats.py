"""What talks in real time and failed is held once more, by itself.

A talk shares a machine's two cores with one other, and whoever shares the machine is
not asked. So a failure of such a test is looked at again, from new fixtures and with no
other test beside it. What fails then has failed; what does not is told at the end, with
what had been wrong. Nothing else is tried twice.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol  # pytest has no public name for it

REPEATED = "repeated"
_due = pytest.StashKey[bool]()
"""True while it is to be held again, False once that has begun."""


def is_due(item: pytest.Item) -> bool:
    """Whether the test that just ended is to be held again."""
    return item.stash.get(_due, False)


def is_second(item: pytest.Item) -> bool:
    """Whether a test that begins now is held for the second time."""
    return _due in item.stash


def run_first(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Run a test that may be held again, and take its fixtures down if it will be."""
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
