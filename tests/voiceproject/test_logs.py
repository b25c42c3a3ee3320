"""A broken network is one line of the log, a fault of the code a traceback."""

from __future__ import annotations

import logging
import sys

import pytest

from voiceproject.logs import NetworkIsNoFault


def logged(name: str, error: Exception) -> logging.LogRecord:
    try:
        raise error
    except Exception:
        told = sys.exc_info()
    record = logging.LogRecord(
        name, logging.ERROR, __file__, 1, "Trying again in %ss", (3,), told
    )
    assert NetworkIsNoFault().filter(record)
    return record


@pytest.mark.parametrize("error", [ConnectionRefusedError(), TimeoutError()])
def test_a_broken_connection_of_discords_is_one_line(error: Exception) -> None:
    record = logged("discord.shard", error)
    assert record.exc_info is None
    assert record.getMessage() == f"Trying again in 3s ({type(error).__name__})"


def test_a_fault_of_discords_keeps_its_traceback() -> None:
    assert logged("discord.client", KeyError("shard")).exc_info


def test_ours_keep_theirs() -> None:
    assert logged("bot.process", ConnectionRefusedError()).exc_info
