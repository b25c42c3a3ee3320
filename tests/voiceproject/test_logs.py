"""A broken network is one line of the log, a fault of the code a traceback; each line
is JSON for machines, says whose it is, and holds no token."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.utils.log import log_response
from scene import a_session, a_user
from structlog.contextvars import bind_contextvars, get_contextvars
from structlog.stdlib import ProcessorFormatter

from sessions import shares, sounds
from sessions.background import spawn
from sessions.models import State
from sessions.storage import StorageError
from transcripts import reporting
from voiceproject.logs import NetworkIsNoFault, for_machines


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


@pytest.mark.parametrize("name", ["bot.process", "django.request"])
def test_a_traceback_is_text_in_a_line_of_json(name: str) -> None:
    formatter = ProcessorFormatter(processors=for_machines())
    (line,) = formatter.format(logged(name, KeyError("shard"))).splitlines()
    told = json.loads(line)
    assert told["event"] == "Trying again in 3s"
    assert "Traceback (most recent call last)" in told["exception"]
    assert "KeyError: 'shard'" in told["exception"]


async def test_what_it_works_for_stands_on_each_line_of_a_task() -> None:
    found = []

    async def work() -> None:
        await asyncio.to_thread(lambda: found.append(get_contextvars()))
        found.append(get_contextvars())

    bind_contextvars(session=1)
    await spawn(work(), name="work", session=7, track=9)
    await spawn(work(), name="of nobody")
    assert found == [{"session": 7, "track": 9}] * 2 + [{}] * 2


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is printed from here on, as the settings have it."""
    (handler,) = (
        one for one in logging.getLogger().handlers if one.get_name() == "stderr"
    )
    printed = io.StringIO()
    monkeypatch.setattr(handler, "stream", printed)
    return printed


@pytest.fixture
def shared() -> str:
    """The token of a link."""
    owner = a_user()
    session = a_session(State.READY, owner=owner)
    return shares.token_of(shares.share(session, days=1, by=owner))


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Client:
    # All threads of a test client are one: its connection is in the test's transaction.
    monkeypatch.setattr("channels.db.close_old_connections", lambda **_: None)
    return Client(raise_request_exception=False, enforce_csrf_checks=True)


def _away(*_: Any) -> None:
    raise OperationalError("server closed the connection unexpectedly")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/shared/{shared}", "/shared/<str:token>"),
        ("/shared/{shared}/sound", "/shared/<str:token>/sound"),
        ("/unsubscribe/{unsubscribe}", "/unsubscribe/<str:token>"),
    ],
)
def test_a_fault_is_told_by_its_route_without_the_token(
    log: io.StringIO, browser: Client, shared: str, path: str, route: str
) -> None:
    tokens = {"shared": shared, "unsubscribe": reporting.token_for(1, 2)}
    with connection.execute_wrapper(_away):
        assert browser.get(path.format(**tokens)).status_code == 500
    assert f"Internal Server Error: {route} " in log.getvalue()
    assert "OperationalError: server closed the connection" in log.getvalue()
    assert not [token for token in tokens.values() if token in log.getvalue()]


@pytest.mark.django_db
def test_a_storage_that_is_away_is_told_without_the_token(
    log: io.StringIO,
    browser: Client,
    shared: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(*_: Any) -> None:
        raise StorageError("away", "The storage is away.", retryable=True)

    monkeypatch.setattr(sounds, "_find", away)
    assert browser.get(f"/shared/{shared}/sound").status_code == 503
    assert "Service Unavailable: /shared/<str:token>/sound " in log.getvalue()
    assert shared not in log.getvalue()


@pytest.mark.django_db
def test_nor_does_a_refusal_name_it(
    log: io.StringIO, browser: Client, shared: str
) -> None:
    assert browser.post(f"/shared/{shared}").status_code == 403
    assert "CSRF" in log.getvalue()
    assert "/shared/<str:token> " in log.getvalue()
    assert shared not in log.getvalue()


def test_what_has_no_route_is_no_address_of_ours(log: io.StringIO) -> None:
    request = HttpRequest()
    request.path = "/shared/secret/soun\xe4"
    response = HttpResponse(status=500)
    log_response("Nothing there: %s", request.path, response=response, request=request)
    assert "Nothing there: an address that is none of ours " in log.getvalue()
